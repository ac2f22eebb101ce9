package keyring

import (
	"crypto"
	"maps"
	"slices"
)

// Use is what may be done with a key; a set of them is their sum.
type Use uint8

// Uses of keys. Each algorithm has some: AEAD Seal and Open, signatures and HMAC
// Sign and Verify, what protects content keys Wrap and Unwrap.
const (
	Seal Use = 1 << iota
	Open
	Sign
	Verify
	Wrap
	Unwrap
)

var useNames = [...]string{"seal", "open", "sign", "verify", "wrap", "unwrap"}

// ParseUse returns the use of that name.
func ParseUse(name string) (Use, bool) {
	i := slices.Index(useNames[:], name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// UseNames are the names of the uses in a set.
func UseNames(set Use) []string {
	var names []string
	for i, name := range useNames {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// algorithm is what a key is for, and so what its versions are made of. A key has
// one, that of the manifest: nothing that a stranger sends can choose another.
type algorithm struct {
	name string
	uses Use
	// secret makes what works with a symmetric key; nil: the key is a pair.
	secret func(a *algorithm, key []byte) (any, error)
	// pair makes what works with a public key and, if there is one, its private key.
	pair func(a *algorithm, p pair) (any, error)

	size  int         // of a symmetric key, in bytes; of HMAC the least; of ECDH-ES that which wraps
	hash  crypto.Hash // of signatures
	curve string      // of an elliptic curve, as JWK names it
}

const (
	aead      = Seal | Open
	signature = Sign | Verify
	wrapping  = Wrap | Unwrap
)

// algorithms are all there are: names of RFC 7518 and 8037 where these have one.
var algorithms = byName(
	algorithm{name: "XAES-256-GCM", uses: aead, secret: newXAES, size: 32},
	algorithm{name: "XChaCha20-Poly1305", uses: aead, secret: newXChaCha, size: 32},
	algorithm{name: "AES-256-SIV", uses: aead, secret: newSIV, size: 64},

	algorithm{name: "HS256", uses: signature, secret: newHMAC, size: 32, hash: crypto.SHA256},
	algorithm{name: "HS384", uses: signature, secret: newHMAC, size: 48, hash: crypto.SHA384},
	algorithm{name: "HS512", uses: signature, secret: newHMAC, size: 64, hash: crypto.SHA512},
	algorithm{name: "RS256", uses: signature, pair: newPKCS1v15, hash: crypto.SHA256},
	algorithm{name: "RS384", uses: signature, pair: newPKCS1v15, hash: crypto.SHA384},
	algorithm{name: "RS512", uses: signature, pair: newPKCS1v15, hash: crypto.SHA512},
	algorithm{name: "PS256", uses: signature, pair: newPSS, hash: crypto.SHA256},
	algorithm{name: "PS384", uses: signature, pair: newPSS, hash: crypto.SHA384},
	algorithm{name: "PS512", uses: signature, pair: newPSS, hash: crypto.SHA512},
	algorithm{name: "ES256", uses: signature, pair: newECDSA, hash: crypto.SHA256, curve: "P-256"},
	algorithm{name: "ES384", uses: signature, pair: newECDSA, hash: crypto.SHA384, curve: "P-384"},
	algorithm{name: "ES512", uses: signature, pair: newECDSA, hash: crypto.SHA512, curve: "P-521"},
	algorithm{name: "EdDSA", uses: signature, pair: newEd25519, curve: "Ed25519"},
	algorithm{name: "Ed25519", uses: signature, pair: newEd25519, curve: "Ed25519"},

	algorithm{name: "A128KW", uses: wrapping, secret: newAESKW, size: 16},
	algorithm{name: "A192KW", uses: wrapping, secret: newAESKW, size: 24},
	algorithm{name: "A256KW", uses: wrapping, secret: newAESKW, size: 32},
	algorithm{name: "RSA-OAEP", uses: wrapping, pair: newOAEP, hash: crypto.SHA1},
	algorithm{name: "RSA-OAEP-256", uses: wrapping, pair: newOAEP, hash: crypto.SHA256},
	algorithm{name: "ECDH-ES", uses: wrapping, pair: newECDH},
	algorithm{name: "ECDH-ES+A128KW", uses: wrapping, pair: newECDH, size: 16},
	algorithm{name: "ECDH-ES+A192KW", uses: wrapping, pair: newECDH, size: 24},
	algorithm{name: "ECDH-ES+A256KW", uses: wrapping, pair: newECDH, size: 32},
	algorithm{name: "A128GCM", uses: wrapping, secret: newDirect, size: 16},
	algorithm{name: "A192GCM", uses: wrapping, secret: newDirect, size: 24},
	algorithm{name: "A256GCM", uses: wrapping, secret: newDirect, size: 32},
	algorithm{name: "A128CBC-HS256", uses: wrapping, secret: newDirect, size: 32},
	algorithm{name: "A192CBC-HS384", uses: wrapping, secret: newDirect, size: 48},
	algorithm{name: "A256CBC-HS512", uses: wrapping, secret: newDirect, size: 64},
)

func byName(all ...algorithm) map[string]*algorithm {
	table := make(map[string]*algorithm, len(all))
	for _, a := range all {
		table[a.name] = &a
	}
	return table
}

// Algorithms are the names of all algorithms, sorted.
func Algorithms() []string { return slices.Sorted(maps.Keys(algorithms)) }

// UsesOf returns what the algorithm of that name is for, 0 for an unknown one.
func UsesOf(name string) Use {
	if a := algorithms[name]; a != nil {
		return a.uses
	}
	return 0
}
