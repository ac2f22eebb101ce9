package foreign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // is what some signatures out there are made with
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// Bounds of a guest's keys: what is done with one costs the cube of its bits.
const (
	maxKeyBytes    = 8 << 10
	maxSignBits    = 4096
	maxVerifyBits  = 8192
	unsupportedKey = "key cannot be used with a hash"
)

// hashes are the functions that a guest may name, in any case.
var hashes = map[string]crypto.Hash{
	"sha1":   crypto.SHA1,
	"sha224": crypto.SHA224,
	"sha256": crypto.SHA256,
	"sha384": crypto.SHA384,
	"sha512": crypto.SHA512,
}

// digest hashes text. The error is for the guest.
func digest(name, text []byte) (sum []byte, hash crypto.Hash, err string) {
	hash, ok := hashes[strings.ToLower(string(name))]
	if !ok {
		return nil, 0, "hash function is not supported"
	}
	h := hash.New()
	h.Write(text)
	return h.Sum(nil), hash, ""
}

// verifySignature reads the name of a hash, a public key (DER or PEM), a signature
// and the text that was signed; it tells whether it was, and else why not.
func verifySignature(_ *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	m, ok := decode(args)
	if !ok {
		return nil, BadArgument
	}
	key, ok := publicKey(m.bytes[2], m.bytes[5])
	if !ok {
		return nil, BadArgument
	}
	if err := verify(key, m.bytes[1], m.bytes[3], m.bytes[4]); err != "" {
		return appendBytes(nil, 2, []byte(err)), OK
	}
	return appendTrue(nil, 1), OK
}

// verify returns why the signature is none of text; empty if it is one.
func verify(key crypto.PublicKey, name, signature, text []byte) string {
	sum, hash, err := digest(name, text)
	if err != "" {
		return err
	}
	valid := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(key, hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(key, sum, signature)
	default:
		return unsupportedKey
	}
	if !valid {
		return "signature does not match"
	}
	return ""
}

// sign reads the name of a hash, a private key (PKCS #8, as DER or PEM) and a text;
// it tells a signature, or else why there is none.
func sign(_ *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	m, ok := decode(args)
	if !ok {
		return nil, BadArgument
	}
	key, ok := privateKey(m.bytes[2], m.bytes[4])
	if !ok {
		return nil, BadArgument
	}
	signature, err := signed(key, m.bytes[1], m.bytes[3])
	if err != "" {
		return appendBytes(nil, 3, []byte(err)), OK
	}
	return appendBytes(appendTrue(nil, 1), 2, signature), OK
}

// signed returns a signature of text, or why there is none.
func signed(key any, name, text []byte) (signature []byte, failed string) {
	sum, hash, failed := digest(name, text)
	if failed != "" {
		return nil, failed
	}
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, hash, sum)
	case *ecdsa.PrivateKey:
		signature, err = ecdsa.SignASN1(rand.Reader, key, sum)
	default:
		return nil, unsupportedKey
	}
	if err != nil {
		return nil, "text cannot be signed with this key"
	}
	return signature, ""
}

// publicKey parses the one of der and text that is there.
func publicKey(der, text []byte) (crypto.PublicKey, bool) {
	der, kind, ok := oneOf(der, text, "PUBLIC KEY")
	if !ok || kind != "PUBLIC KEY" {
		return nil, false
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() > maxVerifyBits {
		return nil, false
	}
	return key, err == nil
}

// privateKey parses the one of der and text that is there.
func privateKey(der, text []byte) (key any, ok bool) {
	der, kind, ok := oneOf(der, text, "PRIVATE KEY")
	if !ok {
		return nil, false
	}
	var err error
	switch kind {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		return nil, false
	}
	if k, ok := key.(*rsa.PrivateKey); ok && err == nil && k.N.BitLen() > maxSignBits {
		return nil, false
	}
	return key, err == nil
}

// oneOf returns the key that is there, and the kind that PEM says it is of; DER's
// is kind.
func oneOf(der, text []byte, kind string) ([]byte, string, bool) {
	if len(der) > maxKeyBytes || len(text) > 2*maxKeyBytes || (len(der) > 0) == (len(text) > 0) {
		return nil, "", false
	}
	if len(der) > 0 {
		return der, kind, true
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, "", false
	}
	return block.Bytes, block.Type, true
}
