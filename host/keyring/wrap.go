package keyring

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // of RSA-OAEP, which needs no resistance to collisions
	"encoding/base64"
	"slices"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// wrapper protects content keys (RFC 7518, 4).
type wrapper interface {
	// wrap protects a key, or makes one if there is none: with direct agreement and
	// direct use the key is not chosen freely.
	wrap(c content, enc string, key []byte) (wrapped, error)
	// unwrap returns the key that was protected, of the right size, or ErrMismatch. It
	// is asked only of a version that is private.
	unwrap(c content, enc string, w wrapped) ([]byte, error)
	// dear reports whether unwrapping takes long enough to be bounded: RSA.
	dear() bool
}

// wrapped is what a message carries of its content key.
type wrapped struct {
	key       []byte // the content key; of wrapper.wrap only
	encrypted []byte // what stands in the message
	agreement Agreement
}

// Agreement is what an agreement of keys needs of a message: the sender's public key
// as a JWK, and what names the parties (RFC 7518, 4.6.1), decoded.
type Agreement struct{ EPK, APU, APV []byte }

// ParseAgreement reads an agreement as it stands in a message's header: the text of a JWK,
// and who sends and receives in base64url. It is ErrMalformed if these are not.
func ParseAgreement(epk, apu, apv string) (Agreement, error) {
	strict := base64.RawURLEncoding.Strict()
	u, uErr := strict.DecodeString(apu)
	v, vErr := strict.DecodeString(apv)
	if uErr != nil || vErr != nil {
		return Agreement{}, ErrMalformed
	}
	return Agreement{[]byte(epk), u, v}, nil
}

// fresh returns a key, or draws one.
func (c content) fresh(key []byte) []byte {
	if key == nil {
		key = make([]byte, c.keyBytes)
		_, _ = rand.Read(key) // it does not fail
	}
	return key
}

// aesKW is AES Key Wrap (RFC 3394).
type aesKW struct{ block cipher.Block }

func newAESKW(_ *algorithm, key []byte) (any, error) {
	block, err := aes.NewCipher(key)
	return aesKW{block}, err
}

func (k aesKW) wrap(c content, _ string, key []byte) (wrapped, error) {
	key = c.fresh(key)
	encrypted, err := josecipher.KeyWrap(k.block, key)
	return wrapped{key: key, encrypted: encrypted}, err
}

func (k aesKW) unwrap(c content, _ string, w wrapped) ([]byte, error) {
	if len(w.encrypted) != c.keyBytes+8 {
		return nil, ErrMismatch
	}
	key, err := josecipher.KeyUnwrap(k.block, w.encrypted)
	if err != nil {
		return nil, ErrMismatch
	}
	return key, nil
}

func (aesKW) dear() bool { return false }

// oaep is RSAES-OAEP.
type oaep struct {
	hash    crypto.Hash
	public  *rsa.PublicKey
	private *rsa.PrivateKey
}

func newOAEP(a *algorithm, p pair) (any, error) {
	public, ok := p.public.(*rsa.PublicKey)
	if !ok {
		return nil, wrongKind(a, "an RSA key")
	}
	private, _ := p.private.(*rsa.PrivateKey)
	return oaep{a.hash, public, private}, nil
}

func (k oaep) wrap(c content, _ string, key []byte) (wrapped, error) {
	key = c.fresh(key)
	encrypted, err := rsa.EncryptOAEP(k.hash.New(), rand.Reader, k.public, key, nil)
	return wrapped{key: key, encrypted: encrypted}, err
}

// unwrap tells nobody whether the padding was right (RFC 7516, 11.5): a key that could
// not be had is replaced by a random one, and the content is not authentic.
func (k oaep) unwrap(c content, _ string, w wrapped) ([]byte, error) {
	key, err := rsa.DecryptOAEP(k.hash.New(), nil, k.private, w.encrypted, nil)
	if err != nil || len(key) != c.keyBytes {
		clear(key)
		return c.fresh(nil), nil
	}
	return key, nil
}

func (oaep) dear() bool { return true }

// direct is a content key that both sides have: the algorithm of the key is that of
// the content.
type direct struct {
	enc string
	key []byte
}

func newDirect(a *algorithm, key []byte) (any, error) { return direct{a.name, key}, nil }

func (d direct) wrap(_ content, enc string, key []byte) (wrapped, error) {
	if key != nil || enc != d.enc {
		return wrapped{}, ErrMalformed
	}
	return wrapped{key: slices.Clone(d.key)}, nil
}

func (d direct) unwrap(_ content, enc string, w wrapped) ([]byte, error) {
	if enc != d.enc || len(w.encrypted) != 0 {
		return nil, ErrMalformed
	}
	return slices.Clone(d.key), nil
}

func (direct) dear() bool { return false }
