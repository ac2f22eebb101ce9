package keyring

import (
	"crypto/sha256"
	"crypto/sha512"
	"maps"
	"slices"
)

// Granted is a key that a policy may use in some ways.
type Granted struct {
	Key *Key
	May Use
}

// Grant is what one policy may do with which keys, by the names that it knows
// them by. It is safe for concurrent use until it is closed.
type Grant struct {
	keys    map[string]Granted
	gate    *Gate
	publics publics
}

// NewGrant retains the keys. Dear work passes the gate.
func NewGrant(keys map[string]Granted, gate *Gate) *Grant {
	for _, g := range keys {
		g.Key.Retain()
	}
	return &Grant{keys: maps.Clone(keys), gate: gate}
}

// Close releases the keys. Nobody uses the grant any more.
func (g *Grant) Close() {
	for _, granted := range g.keys {
		granted.Key.Release()
	}
}

// key returns a key that may be used so.
func (g *Grant) key(name []byte, use Use) (*Key, error) {
	granted, known := g.keys[string(name)]
	if !known || granted.May&use == 0 {
		return nil, ErrNotGranted
	}
	return granted.Key, nil
}

// KeyID returns the id of a key's primary version.
func (g *Grant) KeyID(name []byte) (id string, granted bool) {
	k, granted := g.keys[string(name)]
	if !granted {
		return "", false
	}
	return k.Key.primary().id, true
}

// Algorithm returns a key's algorithm.
func (g *Grant) Algorithm(name []byte) (algorithm string, granted bool) {
	k, granted := g.keys[string(name)]
	if !granted {
		return "", false
	}
	return k.Key.algorithm.name, true
}

// Seal encrypts and authenticates with the primary version; associated data is
// authenticated alone. SealedWith tells the version's id.
func (g *Grant) Seal(name, plaintext, associated []byte) ([]byte, error) {
	k, err := g.key(name, Seal)
	if err != nil {
		return nil, err
	}
	v := k.primary()
	header := append([]byte{formatVersion, byte(len(v.id))}, v.id...)
	sealed := make([]byte, len(header), len(header)+len(plaintext)+MaxOverhead)
	copy(sealed, header)
	return v.works.(sealer).seal(sealed, plaintext, slices.Concat(header, associated))
}

// MaxOverhead bounds what nonce and tag add to a plaintext.
const MaxOverhead = nonceBytes + 16

// Open returns what Seal was given. It is ErrUnknown if the version is gone,
// ErrMalformed if Seal makes no such thing, and ErrMismatch if it, or the
// associated data, was changed.
func (g *Grant) Open(name, sealed, associated []byte) ([]byte, error) {
	k, err := g.key(name, Open)
	if err != nil {
		return nil, err
	}
	header, ok := sealedHeader(sealed)
	if !ok {
		return nil, ErrMalformed
	}
	v := k.version(header[2:])
	if v == nil {
		return nil, ErrUnknown
	}
	return v.works.(sealer).open(sealed[len(header):], slices.Concat(header, associated))
}

// Sign makes a signature, or HMAC, with the primary version.
func (g *Grant) Sign(t Turn, name, data []byte) ([]byte, error) {
	k, err := g.key(name, Sign)
	if err != nil {
		return nil, err
	}
	s := k.primary().works.(signer)
	if !s.dear() {
		return s.sign(data)
	}
	var made []byte
	err = g.gate.do(t, 0, func() (err error) {
		made, err = s.sign(data)
		return err
	})
	return made, err
}

// Verify checks a signature, or HMAC, with the version of that id; without an id,
// with every version.
func (g *Grant) Verify(name, id, data, signature []byte) error {
	k, err := g.key(name, Verify)
	if err != nil {
		return err
	}
	if len(id) > 0 {
		v := k.version(id)
		if v == nil {
			return ErrUnknown
		}
		return v.works.(signer).verify(data, signature)
	}
	for _, v := range k.versions {
		if err = v.works.(signer).verify(data, signature); err == nil {
			return nil
		}
	}
	return err
}

// VerifyWith checks a signature with a public key in the text of a JWK. The
// algorithm is the caller's, and the JWK must fit it: a key of another kind, for
// another use, weak, symmetric or private is ErrMalformed.
func (g *Grant) VerifyWith(algorithm, jwk, data, signature []byte) error {
	s, err := g.publics.get(algorithm, jwk)
	if err != nil {
		return err
	}
	return s.verify(data, signature)
}

// CheckJWK returns what VerifyWith would say of the algorithm and the key.
func (g *Grant) CheckJWK(algorithm, jwk []byte) error {
	_, err := g.publics.get(algorithm, jwk)
	return err
}

// VerifyPassword checks a password against a hash of bcrypt or argon2id. A hash
// that is none, or that costs more than is done here, is ErrMalformed.
func (g *Grant) VerifyPassword(t Turn, hash, password []byte) error {
	h, ok := parseHash(hash)
	if !ok || len(password) > MaxPassword {
		return ErrMalformed
	}
	return g.gate.do(t, h.memory, func() error { return matched(h.matches(password)) })
}

// Digest returns the SHA-2 digest of that many bytes (32, 48 or 64), nil for any
// other number.
func Digest(size int, data []byte) []byte {
	switch size {
	case sha256.Size:
		sum := sha256.Sum256(data)
		return sum[:]
	case sha512.Size384:
		sum := sha512.Sum384(data)
		return sum[:]
	case sha512.Size:
		sum := sha512.Sum512(data)
		return sum[:]
	}
	return nil
}
