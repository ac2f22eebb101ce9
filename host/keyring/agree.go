package keyring

import (
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// ecdhES is ECDH-ES (RFC 7518, 4.6), with a key of its own for each message: the
// content key itself is agreed on or, with a size, one that wraps it.
type ecdhES struct {
	algorithm string
	size      int // bytes of the wrapping key; 0: direct agreement
	crv       string
	public    *ecdh.PublicKey
	private   *ecdh.PrivateKey
}

func newECDH(a *algorithm, p pair) (any, error) {
	k := ecdhES{algorithm: a.name, size: a.size}
	var err error
	switch public := p.public.(type) {
	case *ecdh.PublicKey: // of X25519
		k.public = public
	case *ecdsa.PublicKey:
		if k.public, err = public.ECDH(); err != nil {
			return nil, wrongKind(a, "a key on P-256, P-384, P-521 or X25519")
		}
	}
	if k.public != nil {
		k.crv = fmt.Sprint(k.public.Curve())
	}
	if _, known := coordinateBytes[k.crv]; !known {
		return nil, wrongKind(a, "a key on P-256, P-384, P-521 or X25519")
	}
	switch private := p.private.(type) {
	case *ecdh.PrivateKey:
		k.private = private
	case *ecdsa.PrivateKey:
		k.private, err = private.ECDH()
	}
	return k, err
}

// coordinateBytes are the sizes of coordinates by curve.
var coordinateBytes = map[string]int{"P-256": 32, "P-384": 48, "P-521": 66, "X25519": 32}

func (ecdhES) dear() bool { return false }

func (k ecdhES) wrap(c content, enc string, key []byte) (wrapped, error) {
	if k.size == 0 && key != nil {
		return wrapped{}, ErrMalformed // what is agreed on directly nobody chooses
	}
	own, err := k.public.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return wrapped{}, err
	}
	shared, err := own.ECDH(k.public)
	if err != nil {
		return wrapped{}, err
	}
	defer clear(shared)
	w := wrapped{agreement: Agreement{EPK: k.publicJWK(own.PublicKey())}}
	derived := k.derive(shared, c, enc, w.agreement)
	if k.size == 0 {
		w.key = derived
		return w, nil
	}
	defer clear(derived)
	w.key = c.fresh(key)
	w.encrypted, err = josecipher.KeyWrap(must(aes.NewCipher(derived)), w.key)
	return w, err
}

func (k ecdhES) unwrap(c content, enc string, w wrapped) ([]byte, error) {
	sender, err := k.sender(w.agreement.EPK)
	if err != nil {
		return nil, err
	}
	shared, err := k.private.ECDH(sender)
	if err != nil {
		return nil, ErrMalformed // X25519: a point of low order
	}
	defer clear(shared)
	derived := k.derive(shared, c, enc, w.agreement)
	if k.size == 0 {
		if len(w.encrypted) != 0 {
			return nil, ErrMalformed
		}
		return derived, nil
	}
	defer clear(derived)
	return aesKW{must(aes.NewCipher(derived))}.unwrap(c, enc, w)
}

// derive is Concat KDF (NIST SP 800-56A) as RFC 7518, 4.6.2 has it.
func (k ecdhES) derive(shared []byte, c content, enc string, with Agreement) []byte {
	name, size := k.algorithm, k.size
	if size == 0 {
		name, size = enc, c.keyBytes
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(8*size))
	reader := josecipher.NewConcatKDF(crypto.SHA256, shared, measured([]byte(name)), measured(with.APU), measured(with.APV), bits, nil)
	derived := make([]byte, size)
	_, _ = reader.Read(derived) // it does not fail
	return derived
}

// measured is data after its length.
func measured(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// sender reads the other side's public key, which must be on the same curve.
func (k ecdhES) sender(epk []byte) (*ecdh.PublicKey, error) {
	a := algorithms[k.algorithm]
	p, err := parseJWK(a, epk)
	if err != nil || p.private != nil {
		wipePair(p)
		return nil, ErrMalformed
	}
	other, err := newECDH(a, p)
	if err != nil || other.(ecdhES).crv != k.crv {
		return nil, ErrMalformed
	}
	return other.(ecdhES).public, nil
}

// publicJWK is a public key on the key's curve.
func (k ecdhES) publicJWK(public *ecdh.PublicKey) []byte {
	text, raw := base64.RawURLEncoding, public.Bytes()
	if k.crv == "X25519" {
		return fmt.Appendf(nil, `{"kty":"OKP","crv":"X25519","x":"%s"}`, text.EncodeToString(raw))
	}
	half := 1 + coordinateBytes[k.crv] // after the byte that says that it is not compressed
	return fmt.Appendf(nil, `{"kty":"EC","crv":"%s","x":"%s","y":"%s"}`, k.crv,
		text.EncodeToString(raw[1:half]), text.EncodeToString(raw[half:]))
}
