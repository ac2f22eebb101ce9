package keyring

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
)

// Encodings are the forms that material can be in.
func Encodings() []string { return []string{"base64", "hex", "raw", "pem", "jwk"} }

// DefaultEncoding is base64 for symmetric keys and pem for pairs.
func DefaultEncoding(algorithm string) string {
	if a := algorithms[algorithm]; a != nil && a.secret == nil {
		return "pem"
	}
	return "base64"
}

// Error says what is wrong with material, and what would be right. It shows none
// of it.
type Error struct{ Wrong, Right string }

func (e *Error) Error() string { return e.Wrong + ": " + e.Right }

func wrongKind(a *algorithm, want string) error {
	return &Error{"is of another kind", a.name + " takes " + want}
}

// Parse makes a version of a key from its material in one of Encodings. Material
// that is not exactly what the algorithm takes, or weaker than it should be, is
// refused with an *Error. It neither keeps nor zeroes material.
func Parse(algorithm, encoding, id string, material []byte) (*Version, error) {
	a := algorithms[algorithm]
	if a == nil {
		return nil, &Error{fmt.Sprintf("%q is no algorithm", algorithm), "see Algorithms"}
	}
	if len(material) > MaxMaterialBytes {
		return nil, &Error{"is too long", fmt.Sprintf("at most %d KiB", MaxMaterialBytes>>10)}
	}
	if a.secret != nil {
		return parseSecret(a, encoding, id, material)
	}
	return parsePair(a, encoding, id, material)
}

func parseSecret(a *algorithm, encoding, id string, material []byte) (*Version, error) {
	secret, err := symmetric(a, encoding, material)
	if err == nil {
		err = checkSecret(a, secret)
	}
	var works any
	if err == nil {
		works, err = a.secret(a, secret)
	}
	if err != nil {
		clear(secret)
		return nil, err
	}
	return &Version{id: id, private: true, secret: secret, works: works}, nil
}

// symmetric decodes the bytes of a key.
func symmetric(a *algorithm, encoding string, material []byte) (secret []byte, err error) {
	text := bytes.TrimSpace(material)
	switch encoding {
	case "raw":
		return bytes.Clone(material), nil
	case "hex":
		secret = make([]byte, hex.DecodedLen(len(text)))
		if _, err = hex.Decode(secret, text); err != nil {
			err = &Error{"is not hexadecimal", "write two digits for each byte, or set encoding"}
		}
	case "base64":
		secret = make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
		n, failed := base64.RawStdEncoding.Strict().Decode(secret, bytes.TrimRight(text, "="))
		if secret = secret[:n]; failed != nil {
			err = &Error{"is not base64", "encode the key's bytes, or set encoding"}
		}
	case "jwk":
		return symmetricJWK(a, text)
	default:
		err = &Error{"cannot be " + encoding, "write base64, hex, raw or jwk"}
	}
	return secret, err
}

func checkSecret(a *algorithm, secret []byte) error {
	if a.hash != 0 {
		if len(secret) < a.size {
			return &Error{fmt.Sprintf("has %d bytes", len(secret)), fmt.Sprintf("%s takes at least %d", a.name, a.size)}
		}
	} else if len(secret) != a.size {
		return &Error{fmt.Sprintf("has %d bytes", len(secret)), fmt.Sprintf("%s takes %d", a.name, a.size)}
	}
	// A file that was made but not filled, or filled with a character.
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(secret)))); distinct < 8 {
		return &Error{fmt.Sprintf("has %d different bytes", distinct), "draw the key at random"}
	}
	return nil
}

func parsePair(a *algorithm, encoding, id string, material []byte) (*Version, error) {
	var p pair
	var err error
	switch encoding {
	case "pem":
		p, err = parsePEM(material)
	case "jwk":
		p, err = parseJWK(a, bytes.TrimSpace(material))
	default:
		err = &Error{"cannot be " + encoding, "write pem or jwk"}
	}
	if err == nil {
		err = checkPair(p)
	}
	var works any
	if err == nil {
		works, err = a.pair(a, p)
	}
	if err != nil {
		wipePair(p)
		return nil, err
	}
	return &Version{
		id: id, private: p.private != nil, secret: bytes.Clone(material), works: works,
		wipe: func() { wipePair(p) },
	}, nil
}

// parsePEM reads the first key of a PEM file.
func parsePEM(material []byte) (pair, error) {
	for {
		block, rest := pem.Decode(material)
		if block == nil {
			return pair{}, &Error{"has no key in PEM", `write a block such as "PRIVATE KEY", or set encoding`}
		}
		if parse := pemBlocks[block.Type]; parse != nil {
			key, err := parse(block.Bytes)
			if block.Type != "PUBLIC KEY" { // a public key of Ed25519 is a part of it
				clear(block.Bytes)
			}
			if err != nil {
				return pair{}, &Error{"has a " + block.Type + " that cannot be read", "write an RSA, EC, Ed25519 or X25519 key without a password"}
			}
			return pairOf(key), nil
		}
		clear(block.Bytes)
		material = rest
	}
}

func anyKey[K any](parse func([]byte) (K, error)) func([]byte) (any, error) {
	return func(der []byte) (any, error) { return parse(der) }
}

var pemBlocks = map[string]func(der []byte) (any, error){
	"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
	"RSA PRIVATE KEY": anyKey(x509.ParsePKCS1PrivateKey),
	"EC PRIVATE KEY":  anyKey(x509.ParseECPrivateKey),
	"PUBLIC KEY":      x509.ParsePKIXPublicKey,
	"RSA PUBLIC KEY":  anyKey(x509.ParsePKCS1PublicKey),
}

func pairOf(key any) pair {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return pair{&k.PublicKey, k}
	case *ecdsa.PrivateKey:
		return pair{&k.PublicKey, k}
	case ed25519.PrivateKey:
		return pair{k.Public(), k}
	case *ecdh.PrivateKey:
		return pair{k.PublicKey(), k}
	}
	return pair{public: key}
}

// Bounds of RSA keys: below is weak, above one verification takes too long.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// checkPair refuses RSA keys that are weak or dear. Points are on their curve:
// whatever parsed them has looked.
func checkPair(p pair) error {
	public, ok := p.public.(*rsa.PublicKey)
	if !ok {
		return nil
	}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return &Error{fmt.Sprintf("is an RSA key of %d bits", bits), fmt.Sprintf("write one of %d to %d", minRSABits, maxRSABits)}
	}
	if public.E < 3 || public.E%2 == 0 || public.E > 1<<31-1 {
		return &Error{"has an RSA exponent out of bounds", "the usual one is 65537"}
	}
	if public.N.Bit(0) == 0 {
		return &Error{"has an even RSA modulus", "write a key that a tool has made"}
	}
	return nil
}

// wipePair zeroes the numbers of a private key. Elliptic keys of crypto/ecdh do not
// let go of theirs.
func wipePair(p pair) {
	switch k := p.private.(type) {
	case *rsa.PrivateKey:
		numbers := append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}, k.Primes...)
		for _, n := range numbers {
			wipeNumber(n)
		}
	case *ecdsa.PrivateKey:
		//lint:ignore SA1019 the key is not used any more
		wipeNumber(k.D)
	case ed25519.PrivateKey:
		clear(k)
	}
}

func wipeNumber(n *big.Int) {
	if n != nil {
		clear(n.Bits())
	}
}
