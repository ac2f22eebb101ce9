// Package cache stores responses for the policies that ask for it: bytes and
// heads, under keys that the policies make, until room is needed or somebody
// purges them. What may be stored, how long it is fresh and for whom is for
// them to say.
//
// A Store belongs to the process, not to a generation. Each policy has a Space
// of it. A Writer takes a response in and makes it visible when it is whole; a
// Set is what there is under a key, as it was when somebody looked.
package cache

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the bounds of a Store, and where it is.
type Options struct {
	// MemoryBytes bounds what is held in memory: bodies, responses that are being
	// stored, and the keys and heads of all that is stored, in either tier. Default
	// 64 MiB.
	MemoryBytes int64
	// EntryBytes bounds one body. Default 64 MiB. Without a disk tier it is a
	// quarter of MemoryBytes at most.
	EntryBytes int64
	Log        *slog.Logger     // default: none
	Now        func() time.Time // default: time.Now
}

const (
	defaultMemoryBytes = 64 << 20
	defaultEntryBytes  = 64 << 20
	minMemoryBytes     = 64 << 10
)

// Store holds responses. Its methods, and those of what it returns, are safe for
// concurrent use, except where they say otherwise.
type Store struct {
	options Options
	counts  counts

	mu       sync.Mutex // guards what follows, and is taken before any shard's
	spaces   map[string]*Space
	held     int64 // bytes in memory, all together
	inFlight int64 // of them, those of Writers
	entries  int
	memory   fifo // of the bodies in memory
	purges   purgeLog
}

// Open returns a store.
func Open(o Options) (*Store, error) {
	o.MemoryBytes = cmp.Or(o.MemoryBytes, defaultMemoryBytes)
	o.EntryBytes = cmp.Or(o.EntryBytes, defaultEntryBytes)
	if o.MemoryBytes < minMemoryBytes || o.EntryBytes < 0 {
		return nil, fmt.Errorf("a cache of %d bytes: %w", o.MemoryBytes, ErrArgument)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.EntryBytes = min(o.EntryBytes, o.MemoryBytes/4)
	return &Store{options: o, spaces: make(map[string]*Space)}, nil
}

// Close ends what the store does by itself. It is called after its last use.
func (s *Store) Close() error { return nil }

// Space returns what the named policy has: the same for the life of the process,
// whichever version of the policy asks.
func (s *Store) Space(name string) *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, there := s.spaces[name]
	if !there {
		sp = newSpace(s, name)
		s.spaces[name] = sp
	}
	return sp
}

// counts are those of a Store since it was opened.
type counts struct {
	memoryHits, misses atomic.Uint64
	memoryEvictions    atomic.Uint64
	stored, dropped    atomic.Uint64
	purges, purged     atomic.Uint64
}

// Stats is a Store at one moment; counts begin when it is opened.
type Stats struct {
	Memory Tier
	// InFlight are the bytes of memory that responses take while they are being
	// stored; Memory.Bytes counts them too.
	InFlight int64
	Misses   uint64 // lookups that found nothing
	Stored   uint64
	// Dropped are the responses that were not stored although somebody wanted it: too
	// large, no room for one more at the moment, or purged before they were whole.
	Dropped uint64
	Purges  uint64 // calls of Purge
	Purged  uint64 // entries that they removed or marked
}

// Tier is one of the places where entries are.
type Tier struct {
	Entries      int
	Bytes, Limit int64
	Hits         uint64 // bodies opened here
	Evictions    uint64 // entries that left to make room
}

// Stats returns what there is.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Memory: Tier{
			Entries: s.entries, Bytes: s.held + s.memory.ghosts.bytes(), Limit: s.options.MemoryBytes,
			Hits: s.counts.memoryHits.Load(), Evictions: s.counts.memoryEvictions.Load(),
		},
		InFlight: s.inFlight,
		Misses:   s.counts.misses.Load(),
		Stored:   s.counts.stored.Load(),
		Dropped:  s.counts.dropped.Load(),
		Purges:   s.counts.purges.Load(),
		Purged:   s.counts.purged.Load(),
	}
}
