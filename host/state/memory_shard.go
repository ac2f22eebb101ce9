package state

import (
	"sync"
	"time"
)

// kind is what a key holds.
type kind uint8

const (
	aValue kind = iota
	aCounter
	aBucket
	aWindow
)

// entry is what one key holds in memory.
type entry struct {
	key     string
	kind    kind
	value   []byte // never written to; of a window, its tally
	version uint64
	number  int64 // of a counter
	level   level // of a bucket

	expires time.Duration // 0: never
	place   int           // in shard.timed, if it expires
}

// is reports whether the entry is a value of that version; nil is of version 0.
func (e *entry) is(version uint64) bool {
	if e == nil || version == 0 {
		return e == nil && version == 0
	}
	return e.kind == aValue && e.version == version
}

// entryBytes is what an entry counts as: its key, its value, and what a test
// measured of the rest.
func entryBytes(key, value int) int64 { return int64(key+value) + 192 }

// shard is a part of a policy's entries. Those that expire stand in a heap, the
// next one first, so that nothing has to search or wake up for them.
type shard struct {
	mu      sync.Mutex
	entries map[string]*entry
	timed   []*entry
}

// sweepEach is how many expired entries each change removes, so that they go
// faster than new ones come.
const sweepEach = 4

// live returns the entry of key, and removes it instead if it has expired.
func (s *shard) live(m *memory, key []byte, now time.Duration) *entry {
	e := s.entries[string(key)]
	if e != nil && e.expires != 0 && e.expires <= now {
		s.remove(m, e)
		return nil
	}
	return e
}

// expire removes entries that have expired, up to a number.
func (s *shard) expire(m *memory, now time.Duration, max int) {
	for ; max > 0 && len(s.timed) > 0 && s.timed[0].expires <= now; max-- {
		s.remove(m, s.timed[0])
	}
}

func (s *shard) insert(key string) *entry {
	e := &entry{key: key}
	s.entries[key] = e
	return e
}

func (s *shard) remove(m *memory, e *entry) {
	s.setExpiry(e, 0)
	delete(s.entries, e.key)
	m.keys.give(1)
	m.held.give(entryBytes(len(e.key), len(e.value)))
}

// setExpiry gives e its place among those that expire.
func (s *shard) setExpiry(e *entry, expires time.Duration) {
	before := e.expires
	e.expires = expires
	switch {
	case before == 0 && expires == 0:
	case before == 0:
		e.place = len(s.timed)
		s.timed = append(s.timed, e)
		s.up(e.place)
	case expires == 0:
		last := len(s.timed) - 1
		at := e.place
		s.swap(at, last)
		s.timed[last] = nil
		s.timed = s.timed[:last]
		if at < last {
			s.down(s.up(at))
		}
	default:
		s.down(s.up(e.place))
	}
}

func (s *shard) up(at int) int {
	for at > 0 {
		above := (at - 1) / 2
		if s.timed[above].expires <= s.timed[at].expires {
			break
		}
		s.swap(at, above)
		at = above
	}
	return at
}

func (s *shard) down(at int) {
	for {
		below := 2*at + 1
		if below >= len(s.timed) {
			return
		}
		if other := below + 1; other < len(s.timed) && s.timed[other].expires < s.timed[below].expires {
			below = other
		}
		if s.timed[at].expires <= s.timed[below].expires {
			return
		}
		s.swap(at, below)
		at = below
	}
}

func (s *shard) swap(i, j int) {
	s.timed[i], s.timed[j] = s.timed[j], s.timed[i]
	s.timed[i].place, s.timed[j].place = i, j
}
