package state

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
)

// memory is what one policy remembers in this process.
//
// Nothing is evicted: a counter or a value that went because others came would
// let a stranger who makes keys undo what was counted against him. When a bound
// is reached, what has expired goes, and if that is not enough, what is new is
// refused.
type memory struct {
	now      func() time.Duration
	seed     maphash.Seed
	shards   [shards]shard
	keys     budget
	held     *budget // bytes
	versions atomic.Uint64
	sweepAll func() // what expired of all policies, when they are full together
}

// shards let as many goroutines as there are likely to be pass each other.
const shards = 32

func newMemory(now func() time.Duration, all *budget, sweepAll func()) *memory {
	m := &memory{now: now, seed: maphash.MakeSeed(), held: newBudget(math.MaxInt64, all), sweepAll: sweepAll}
	for i := range m.shards {
		m.shards[i].entries = make(map[string]*entry)
	}
	return m
}

func (m *memory) shard(key []byte) *shard {
	return &m.shards[maphash.Bytes(m.seed, key)%shards]
}

// sweep removes what has expired.
func (m *memory) sweep() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.expire(m, m.now(), math.MaxInt)
		s.mu.Unlock()
	}
}

// sizes are how much a policy holds.
func (m *memory) sizes() (keys, bytes int64) { return m.keys.used.Load(), m.held.used.Load() }

// room is memory as one version of a policy may use it.
type room struct {
	*memory
	limits Limits
}

var _ backend = (*room)(nil)

// action changes an entry, nil if there is none, with its shard locked.
type action func(s *shard, e *entry, now time.Duration) error

// act runs an action on a key. If it finds no room, what has expired goes and it
// is run again.
func (r *room) act(key []byte, a action) error {
	err := r.once(key, a)
	if !errors.Is(err, ErrFull) {
		return err
	}
	r.sweep()
	if err = r.once(key, a); !errors.Is(err, ErrFull) {
		return err
	}
	r.sweepAll()
	return r.once(key, a)
}

func (r *room) once(key []byte, a action) error {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := r.now()
	s.expire(r.memory, now, sweepEach)
	return a(s, s.live(r.memory, key, now), now)
}

// insert makes an entry with room for a value.
func (r *room) insert(s *shard, key []byte, valueBytes int) (*entry, error) {
	if !r.keys.takeUpTo(r.limits.Keys, 1) {
		return nil, ErrFull
	}
	if !r.held.takeUpTo(r.limits.Bytes, entryBytes(len(key), valueBytes)) {
		r.keys.give(1)
		return nil, ErrFull
	}
	return s.insert(string(key)), nil
}

func (r *room) get(_ context.Context, key []byte) (value []byte, version uint64, err error) {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.live(r.memory, key, r.now())
	switch {
	case e == nil:
		return nil, 0, ErrNotFound
	case e.kind != aValue:
		return nil, 0, ErrKind
	}
	return e.value, e.version, nil
}

func (r *room) set(_ context.Context, key, value []byte, ttl time.Duration) (version uint64, err error) {
	err = r.act(key, func(s *shard, e *entry, now time.Duration) error {
		version, err = r.put(s, e, key, value, until(now, ttl))
		return err
	})
	return version, err
}

func (r *room) setIf(_ context.Context, key, value []byte, ttl time.Duration, version uint64) (drawn uint64, err error) {
	err = r.act(key, func(s *shard, e *entry, now time.Duration) error {
		if !e.is(version) {
			return ErrCAS
		}
		drawn, err = r.put(s, e, key, value, until(now, ttl))
		return err
	})
	return drawn, err
}

func (r *room) put(s *shard, e *entry, key, value []byte, expires time.Duration) (version uint64, err error) {
	if e, err = r.resize(s, e, key, len(value)); err != nil {
		return 0, err
	}
	e.kind, e.value, e.version = aValue, bytes.Clone(value), r.versions.Add(1)
	s.setExpiry(e, expires)
	return e.version, nil
}

func (r *room) remove(_ context.Context, key []byte) error {
	return r.once(key, func(s *shard, e *entry, _ time.Duration) error {
		if e == nil {
			return ErrNotFound
		}
		s.remove(r.memory, e)
		return nil
	})
}

func (r *room) removeIf(_ context.Context, key []byte, version uint64) error {
	return r.once(key, func(s *shard, e *entry, _ time.Duration) error {
		switch {
		case e == nil:
			return ErrNotFound
		case !e.is(version):
			return ErrCAS
		}
		s.remove(r.memory, e)
		return nil
	})
}

func (r *room) add(_ context.Context, key []byte, delta int64, ttl time.Duration) (sum int64, err error) {
	err = r.act(key, func(s *shard, e *entry, now time.Duration) error {
		if e == nil {
			if delta == 0 {
				return nil
			}
			if e, err = r.insert(s, key, 0); err != nil {
				return err
			}
			e.kind = aCounter
			s.setExpiry(e, until(now, ttl))
		}
		if e.kind != aCounter {
			return ErrKind
		}
		sum = e.number + delta
		if (sum < e.number) != (delta < 0) {
			sum = 0
			return ErrOverflow
		}
		e.number = sum
		return nil
	})
	return sum, err
}

func (r *room) take(_ context.Context, key []byte, b Bucket, n uint32) (taken Taken, err error) {
	err = r.act(key, func(s *shard, e *entry, now time.Duration) error {
		l := level{tokens: float64(b.Burst), at: float64(now / time.Microsecond)}
		if e != nil {
			if e.kind != aBucket {
				return ErrKind
			}
			l = e.level
		}
		after, result := l.take(b, n, float64(now/time.Microsecond))
		if result.Allowed && n > 0 {
			if e == nil {
				if e, err = r.insert(s, key, 0); err != nil {
					return err
				}
				e.kind = aBucket
			}
			e.level = after
			s.setExpiry(e, now+after.full(b))
		}
		taken = result
		return nil
	})
	return taken, err
}

func (r *room) window(_ context.Context, key []byte, w Window, n uint32) (taken Taken, err error) {
	err = r.act(key, func(s *shard, e *entry, now time.Duration) error {
		var before tally
		if e != nil {
			if e.kind != aWindow {
				return ErrKind
			}
			before = e.value
		}
		at := int64(now / time.Microsecond)
		after, result := before.admit(w, n, at)
		if result.Allowed && n > 0 {
			if e, err = r.resize(s, e, key, len(after)); err != nil {
				return err
			}
			e.kind, e.value = aWindow, after
			s.setExpiry(e, now+w.leaves(at/w.size(), at))
		}
		taken = result
		return nil
	})
	return taken, err
}

// resize makes room for a value of that length, in an entry that is made if there
// is none.
func (r *room) resize(s *shard, e *entry, key []byte, length int) (*entry, error) {
	if e == nil {
		return r.insert(s, key, length)
	}
	if !r.held.takeUpTo(r.limits.Bytes, int64(length-len(e.value))) {
		return nil, ErrFull
	}
	return e, nil
}

// until is when a time to live ends; 0 is never.
func until(now, ttl time.Duration) time.Duration {
	if ttl == 0 {
		return 0
	}
	return now + ttl
}
