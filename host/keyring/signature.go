package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the table
	_ "crypto/sha512"
	"math/big"
)

// signer makes and checks signatures or HMACs (RFC 7518, 3; RFC 8037, 3.1).
type signer interface {
	// sign is asked only of a version that is private.
	sign(data []byte) ([]byte, error)
	// verify returns nil or ErrMismatch.
	verify(data, signature []byte) error
	// dear reports whether signing takes long enough to be bounded: RSA.
	dear() bool
}

// pair is a key of two halves as it was parsed.
type pair struct {
	public  any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or *ecdh.PublicKey
	private any // of the same kind, nil if there is none
}

type macKey struct {
	hash crypto.Hash
	key  []byte
}

func newHMAC(a *algorithm, key []byte) (any, error) { return macKey{a.hash, key}, nil }

func (m macKey) sign(data []byte) ([]byte, error) {
	mac := hmac.New(m.hash.New, m.key)
	mac.Write(data)
	return mac.Sum(nil), nil
}

func (m macKey) verify(data, signature []byte) error {
	sum, _ := m.sign(data)
	return matched(hmac.Equal(sum, signature))
}

func (macKey) dear() bool { return false }

func matched(ok bool) error {
	if !ok {
		return ErrMismatch
	}
	return nil
}

func digest(h crypto.Hash, data []byte) []byte {
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

// rsaKey is RSASSA-PKCS1-v1_5, or RSASSA-PSS with a salt as long as the hash.
type rsaKey struct {
	hash    crypto.Hash
	pss     bool
	public  *rsa.PublicKey
	private *rsa.PrivateKey
}

func newPKCS1v15(a *algorithm, p pair) (any, error) { return newRSA(a, p, false) }
func newPSS(a *algorithm, p pair) (any, error)      { return newRSA(a, p, true) }

func newRSA(a *algorithm, p pair, pss bool) (any, error) {
	public, ok := p.public.(*rsa.PublicKey)
	if !ok {
		return nil, wrongKind(a, "an RSA key")
	}
	private, _ := p.private.(*rsa.PrivateKey)
	return rsaKey{a.hash, pss, public, private}, nil
}

func (k rsaKey) options() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: k.hash}
}

func (k rsaKey) sign(data []byte) ([]byte, error) {
	if k.pss {
		return rsa.SignPSS(rand.Reader, k.private, k.hash, digest(k.hash, data), k.options())
	}
	return rsa.SignPKCS1v15(nil, k.private, k.hash, digest(k.hash, data))
}

func (k rsaKey) verify(data, signature []byte) error {
	if k.pss {
		return matched(rsa.VerifyPSS(k.public, k.hash, digest(k.hash, data), signature, k.options()) == nil)
	}
	return matched(rsa.VerifyPKCS1v15(k.public, k.hash, digest(k.hash, data), signature) == nil)
}

func (rsaKey) dear() bool { return true }

// ecdsaKey makes signatures as JOSE has them: r and s, each as long as the curve's
// order.
type ecdsaKey struct {
	hash    crypto.Hash
	public  *ecdsa.PublicKey
	private *ecdsa.PrivateKey
}

func newECDSA(a *algorithm, p pair) (any, error) {
	public, ok := p.public.(*ecdsa.PublicKey)
	if !ok || public.Curve.Params().Name != a.curve {
		return nil, wrongKind(a, "a key on "+a.curve)
	}
	private, _ := p.private.(*ecdsa.PrivateKey)
	return ecdsaKey{a.hash, public, private}, nil
}

func (k ecdsaKey) half() int { return (k.public.Curve.Params().N.BitLen() + 7) / 8 }

func (k ecdsaKey) sign(data []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest(k.hash, data))
	if err != nil {
		return nil, err
	}
	out := make([]byte, 2*k.half())
	r.FillBytes(out[:k.half()])
	s.FillBytes(out[k.half():])
	return out, nil
}

func (k ecdsaKey) verify(data, signature []byte) error {
	if len(signature) != 2*k.half() {
		return ErrMismatch
	}
	r, s := new(big.Int).SetBytes(signature[:k.half()]), new(big.Int).SetBytes(signature[k.half():])
	return matched(ecdsa.Verify(k.public, digest(k.hash, data), r, s))
}

func (ecdsaKey) dear() bool { return false }

type ed25519Key struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newEd25519(a *algorithm, p pair) (any, error) {
	public, ok := p.public.(ed25519.PublicKey)
	if !ok {
		return nil, wrongKind(a, "a key on Ed25519")
	}
	private, _ := p.private.(ed25519.PrivateKey)
	return ed25519Key{public, private}, nil
}

func (k ed25519Key) sign(data []byte) ([]byte, error) { return ed25519.Sign(k.private, data), nil }

func (k ed25519Key) verify(data, signature []byte) error {
	return matched(ed25519.Verify(k.public, data, signature))
}

func (ed25519Key) dear() bool { return false }
