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
	"maps"
	"slices"
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
	// EntryBytes bounds one body. Default 64 MiB. It is a quarter of MemoryBytes at
	// most, or, with a disk tier, of DiskBytes.
	EntryBytes int64
	// Disk is a folder for what is to outlive the process and the room in memory; ""
	// is none. One process at a time has it.
	Disk      string
	DiskBytes int64            // bounds what is in it. Default 1 GiB
	Log       *slog.Logger     // default: none
	Now       func() time.Time // default: time.Now
}

const (
	defaultMemoryBytes = 64 << 20
	defaultEntryBytes  = 64 << 20
	defaultDiskBytes   = 1 << 30
	minMemoryBytes     = 64 << 10
	minDiskBytes       = 4 << 20
)

// Store holds responses. Its methods, and those of what it returns, are safe for
// concurrent use, except where they say otherwise.
type Store struct {
	options Options
	counts  counts
	disk    *disk // nil: there is none
	peers   Peers // likewise
	large   int64 // bodies of as many bytes are on disk only, if there is one

	mu       sync.Mutex // guards what follows, and is taken before any shard's
	spaces   map[string]*Space
	held     int64 // bytes in memory, all together
	inFlight int64 // of them, those of Writers
	heads    int64 // of them, those of keys and heads
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
	o.DiskBytes = cmp.Or(o.DiskBytes, defaultDiskBytes)
	if o.DiskBytes < minDiskBytes {
		return nil, fmt.Errorf("a disk tier of %d bytes: %w", o.DiskBytes, ErrArgument)
	}
	room := o.MemoryBytes
	if o.Disk != "" {
		room = o.DiskBytes
	}
	o.EntryBytes = min(o.EntryBytes, room/4)
	s := &Store{options: o, spaces: make(map[string]*Space), large: min(largeBytes, o.MemoryBytes/16)}
	if o.Disk != "" {
		if err := openDisk(s); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDisk, err)
		}
	}
	return s, nil
}

// Close writes down what is to outlive the process, and ends what the store does by
// itself. It is called after the last use of what it returned.
func (s *Store) Close() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.close()
}

// Space returns what the named policy has: the same for the life of the process,
// whichever version of the policy asks.
func (s *Store) Space(name string) *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.space(name)
}

func (s *Store) space(name string) *Space {
	sp, there := s.spaces[name]
	if !there {
		sp = newSpace(s, name)
		s.spaces[name] = sp
	}
	return sp
}

// Names returns the names of all spaces, also of those that only the disk knows.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.spaces))
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
	Memory, Disk Tier
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
	// Unsaved are the entries that are to be written to disk, and Unwritten those that
	// were not, because the disk was full, broken or too slow; DiskErrors are its
	// errors, and Damaged the entries that it lost.
	Unsaved                        int
	Unwritten, DiskErrors, Damaged uint64
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
	stats := Stats{
		Memory: Tier{
			Entries: s.entries, Bytes: s.held + s.ghostBytes(), Limit: s.options.MemoryBytes,
			Hits: s.counts.memoryHits.Load(), Evictions: s.counts.memoryEvictions.Load(),
		},
		InFlight: s.inFlight,
		Misses:   s.counts.misses.Load(),
		Stored:   s.counts.stored.Load(),
		Dropped:  s.counts.dropped.Load(),
		Purges:   s.counts.purges.Load(),
		Purged:   s.counts.purged.Load(),
	}
	if d := s.disk; d != nil {
		stats.Memory.Entries = s.memory.len() + d.unsaved
		stats.Unsaved = d.unsaved
		stats.Unwritten, stats.DiskErrors, stats.Damaged = d.dropped.Load(), d.failures.Load(), d.damaged.Load()
		stats.Disk = Tier{
			Entries: d.queue.len(), Bytes: d.bytes + d.left + d.index.bytes.Load(), Limit: s.options.DiskBytes,
			Hits: d.hits.Load(), Evictions: d.evictions.Load(),
		}
	}
	return stats
}
