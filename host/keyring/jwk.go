package keyring

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"slices"
	"strings"
)

// MaxJWKBytes bounds the text of a JWK.
const MaxJWKBytes = 16 << 10

// jwk is a JSON Web Key (RFC 7517): its members that are text, and key_ops.
type jwk struct {
	text map[string]string
	ops  []string
}

var errJWK = &Error{"is no JWK that can be used", "write a JSON object as RFC 7517 has it, without a member twice"}

// readJWK reads a JSON object strictly: no member twice, whatever the case of
// others, and nothing after it.
func readJWK(data []byte) (jwk, error) {
	k := jwk{text: map[string]string{}}
	if len(data) > MaxJWKBytes {
		return k, errJWK
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return k, errJWK
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil || seen[name.(string)] || len(seen) == maxMembers {
			return k, errJWK
		}
		seen[name.(string)] = true
		if !k.member(name.(string), value) {
			return k, errJWK
		}
	}
	if _, err := d.Token(); err != nil {
		return k, errJWK
	}
	if _, err := d.Token(); err != io.EOF {
		return k, errJWK
	}
	return k, nil
}

const maxMembers = 32

// member takes one member; what is neither text nor key_ops is nobody's concern.
func (k *jwk) member(name string, value []byte) bool {
	if name == "key_ops" {
		return json.Unmarshal(value, &k.ops) == nil
	}
	if value[0] == '"' {
		var text string
		if json.Unmarshal(value, &text) != nil {
			return false
		}
		k.text[name] = text
		return true
	}
	return !slices.Contains(jwkMembers, name)
}

// jwkMembers are those that must be text.
var jwkMembers = strings.Fields("kty crv alg use k n e d p q dp dq qi x y")

// bytes decodes a member; nil if it is missing or not base64url without padding.
func (k *jwk) bytes(name string) []byte {
	value, err := base64.RawURLEncoding.Strict().DecodeString(k.text[name])
	if err != nil {
		return nil
	}
	return value
}

func (k *jwk) number(name string) *big.Int { return new(big.Int).SetBytes(k.bytes(name)) }

// fits checks what the JWK says of its own purpose (RFC 7517, 4.2 to 4.4).
func (k *jwk) fits(a *algorithm) bool {
	if alg, said := k.text["alg"]; said && alg != a.name && !(a.curve == "Ed25519" && (alg == "EdDSA" || alg == "Ed25519")) {
		return false
	}
	use, ops := "enc", []string{"wrapKey", "unwrapKey", "deriveKey", "deriveBits", "encrypt", "decrypt"}
	if a.uses == signature {
		use, ops = "sig", []string{"verify", "sign"}
		if _, private := k.text["d"]; !private && k.text["kty"] != "oct" {
			ops = ops[:1]
		}
	}
	if said, there := k.text["use"]; there && said != use {
		return false
	}
	return k.ops == nil || slices.ContainsFunc(k.ops, func(op string) bool { return slices.Contains(ops, op) })
}

// symmetricJWK reads the key of a JWK of kind "oct".
func symmetricJWK(a *algorithm, text []byte) ([]byte, error) {
	k, err := readJWK(text)
	if err != nil {
		return nil, err
	}
	if k.text["kty"] != "oct" || !k.fits(a) {
		return nil, wrongKind(a, `a JWK with "kty": "oct"`)
	}
	return k.bytes("k"), nil
}

// parseJWK reads a JWK of kind RSA, EC or OKP.
func parseJWK(a *algorithm, text []byte) (pair, error) {
	k, err := readJWK(text)
	if err != nil {
		return pair{}, err
	}
	if !k.fits(a) {
		return pair{}, &Error{"is a JWK for something else", "its alg, use and key_ops must allow " + a.name}
	}
	read := jwkKinds[k.text["kty"]]
	if read == nil {
		return pair{}, wrongKind(a, `a JWK with "kty": "RSA", "EC" or "OKP"`)
	}
	p, ok := read(&k)
	if !ok {
		return p, errJWK
	}
	return p, nil
}

var jwkKinds = map[string]func(*jwk) (pair, bool){"RSA": rsaJWK, "EC": ecJWK, "OKP": okpJWK}

func rsaJWK(k *jwk) (pair, bool) {
	n, e := k.number("n"), k.number("e")
	if n.BitLen() == 0 || n.BitLen() > maxRSABits || e.BitLen() > 31 {
		return pair{}, false
	}
	public := &rsa.PublicKey{N: n, E: int(e.Int64())}
	if _, private := k.text["d"]; !private {
		return pair{public: public}, true
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: k.number("d"), Primes: []*big.Int{k.number("p"), k.number("q")}}
	if checkPair(pair{public: public}) != nil || key.Validate() != nil {
		return pair{private: key}, false
	}
	key.Precompute()
	return pair{&key.PublicKey, key}, true
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func ecJWK(k *jwk) (pair, bool) {
	curve := curves[k.text["crv"]]
	if curve == nil {
		return pair{}, false
	}
	x, y := k.bytes("x"), k.bytes("y")
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return pair{}, false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return pair{}, false
	}
	if _, private := k.text["d"]; !private {
		return pair{public: public}, true
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, k.bytes("d"))
	if err != nil || !key.PublicKey.Equal(public) {
		return pair{}, false
	}
	return pairOf(key), true
}

func okpJWK(k *jwk) (pair, bool) {
	x, d := k.bytes("x"), k.bytes("d")
	_, private := k.text["d"]
	switch {
	case k.text["crv"] == "Ed25519" && len(x) == ed25519.PublicKeySize && !private:
		return pair{public: ed25519.PublicKey(x)}, true
	case k.text["crv"] == "Ed25519" && len(d) == ed25519.SeedSize:
		p := pairOf(ed25519.NewKeyFromSeed(d))
		return p, bytes.Equal(p.public.(ed25519.PublicKey), x)
	case k.text["crv"] == "X25519" && !private:
		public, err := ecdh.X25519().NewPublicKey(x)
		return pair{public: public}, err == nil
	case k.text["crv"] == "X25519":
		key, err := ecdh.X25519().NewPrivateKey(d)
		if err != nil || !bytes.Equal(key.PublicKey().Bytes(), x) {
			return pair{}, false
		}
		return pairOf(key), true
	}
	return pair{}, false
}
