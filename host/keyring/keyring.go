// Package keyring holds keys and works with them, so that whoever has work for a
// key needs to know its name alone.
//
// A Key is one algorithm and some versions, of which the primary seals and signs,
// and all open and verify. A Grant is what one policy may do with which keys; its
// operations are the ones that guests reach through ergo_crypto.
//
// The material of a key is a slice of this package's own. It is zeroed when the
// last Grant and manifest that hold the key let go of it. What Go's runtime and
// libraries have made of it meanwhile (AES round keys, limbs of RSA exponents,
// copies on a stack that has grown, the environment) is garbage then, but is not
// overwritten before the memory is used again, and a core dump may show it.
//
// Nothing here prints, formats or encodes a key: errors say what is wrong with
// material, never what it is.
package keyring

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Errors of operations. No other says more, so that nobody learns from a refusal
// which byte was wrong.
var (
	ErrNotGranted = errors.New("the manifest does not grant it")
	ErrUnknown    = errors.New("the key has no such version")
	ErrMalformed  = errors.New("it is malformed, or beyond its bounds")
	ErrMismatch   = errors.New("it is not authentic")
	ErrTooLarge   = errors.New("it is too large")
	ErrBusy       = errors.New("too much is to be done already")
	ErrTimeout    = errors.New("there was no time left")
)

// Bounds of keys in a manifest.
const (
	MaxVersions      = 16
	MaxID            = 64 // bytes of a version's id
	MaxMaterialBytes = 64 << 10
)

// Version is one version of a key: an id, and what works with its material. It
// belongs to the Key that is made of it.
type Version struct {
	id      string
	private bool   // it can do what takes a secret
	secret  []byte // the material, which Key.Release zeroes
	wipe    func() // zeroes what was parsed of it; may be nil
	works   any    // sealer, signer, wrapper or direct
}

// ID returns what the manifest calls the version.
func (v *Version) ID() string { return v.id }

// Wipe zeroes the material of a version that no Key was made of.
func (v *Version) Wipe() {
	clear(v.secret)
	if v.wipe != nil {
		v.wipe()
	}
}

// Key is an algorithm with one or more versions of its material. It does not
// change, is safe for concurrent use, and is zeroed with its last reference.
type Key struct {
	algorithm   *algorithm
	versions    []*Version // the primary is the first
	fingerprint [sha256.Size]byte
	refs        atomic.Int64
}

// NewKey makes a key of versions of that algorithm, the first of which is the
// primary. The caller has the one reference.
func NewKey(algorithm string, versions ...*Version) *Key {
	k := &Key{algorithm: algorithms[algorithm], versions: versions}
	h := sha256.New()
	fmt.Fprintf(h, "%s %d ", algorithm, len(versions))
	for _, v := range versions {
		fmt.Fprintf(h, "%q %d ", v.id, len(v.secret))
		h.Write(v.secret)
	}
	h.Sum(k.fingerprint[:0])
	k.refs.Store(1)
	return k
}

// Retain takes one more reference.
func (k *Key) Retain() { k.refs.Add(1) }

// Release lets go of a reference; with the last one the material is zeroed.
func (k *Key) Release() {
	if k.refs.Add(-1) > 0 {
		return
	}
	for _, v := range k.versions {
		v.Wipe()
	}
}

// Algorithm returns the name of what the key is for.
func (k *Key) Algorithm() string { return k.algorithm.name }

// Fingerprint is the same for keys of the same algorithm, ids and material in the
// same order, and for no others. It tells nothing of them, but whoever has it can
// check a guess; so it is compared and not shown.
func (k *Key) Fingerprint() [sha256.Size]byte { return k.fingerprint }

// Can returns what can be done with the key: what takes a private key only if
// there is one.
func (k *Key) Can() Use {
	can := k.algorithm.uses
	if !k.versions[0].private {
		can &^= Sign
	}
	if !slices.ContainsFunc(k.versions, func(v *Version) bool { return v.private }) {
		can &^= Unwrap
	}
	return can
}

// String names the algorithm, so that no verb prints more.
func (k *Key) String() string { return "key of " + k.algorithm.name }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

func (k *Key) primary() *Version { return k.versions[0] }

// version returns the version of that id, nil if there is none.
func (k *Key) version(id []byte) *Version {
	for _, v := range k.versions {
		if v.id == string(id) {
			return v
		}
	}
	return nil
}
