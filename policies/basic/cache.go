package main

import (
	"encoding/binary"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

// cache remembers credentials that were right, in a table of fixed size: each has
// one place, and takes it from those that were there. An instance has its own. It
// keeps no password, but a digest with a salt that is drawn in each instance.
type cache struct {
	places []place
	ttlMS  uint64
	salt   []byte // drawn with the first request, because clones share what is drawn before
}

// place is where some credentials are remembered. Until 0 it is empty.
type place struct {
	digest  [32]byte
	untilMS uint64
}

func newCache(places int, ttlMS uint64) *cache {
	return &cache{places: make([]place, places), ttlMS: ttlMS}
}

// find returns the place of credentials and their digest; nil if nothing is to be
// remembered.
func (c *cache) find(given credentials) (*place, [32]byte) {
	if len(c.places) == 0 {
		return nil, [32]byte{}
	}
	if c.salt == nil {
		c.salt = make([]byte, 32)
		guest.CryptoRandom(c.salt)
	}
	// A name has no colon, so the text says where it ends.
	salted := append(c.salt[:len(c.salt):len(c.salt)], given.name+":"+given.password...)
	sum, err := guest.Digest(guest.SHA256, salted)
	if err != nil {
		return nil, [32]byte{}
	}
	digest := [32]byte(sum)
	return &c.places[binary.LittleEndian.Uint32(digest[:])%uint32(len(c.places))], digest
}

func (p *place) is(digest [32]byte, nowMS uint64) bool {
	return p.digest == digest && nowMS < p.untilMS
}

func (p *place) put(digest [32]byte, untilMS uint64) { *p = place{digest, untilMS} }
