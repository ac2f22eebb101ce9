package state

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// What every store takes at most.
const (
	MaxKeyBytes = 512
	MaxTTL      = 366 * 24 * time.Hour
)

// Limits bound what one policy remembers in a Store.
type Limits struct {
	Keys       int64 // in this process; the shared store has its own bounds
	Bytes      int64 // of keys and values, and what holds them; in this process
	ValueBytes int64
}

// Store is what one policy remembers by key. A key holds one of four kinds: a
// value with a version, which is never 0 and of which each Set draws a new one; a
// counter; a bucket of tokens; or a window. It ends with its time to live, at most MaxTTL;
// 0 is for ever.
//
// A key is 1 to MaxKeyBytes long, and is read during the call only. Methods are
// atomic, also among the processes that use one shared store, and safe for
// concurrent use. In process they do not wait; with the shared store as long as
// it may take, and no longer than ctx. All may return ErrArgument and
// ErrUnavailable.
type Store struct {
	backend backend
	counts  *counts
	limits  Limits
	remote  bool
}

// counts are the refusals of one policy's stores of one kind.
type counts struct {
	full        atomic.Uint64
	unavailable atomic.Uint64
}

// backend is where the content of a Store is. Arguments have been checked.
type backend interface {
	get(ctx context.Context, key []byte) (value []byte, version uint64, err error)
	set(ctx context.Context, key, value []byte, ttl time.Duration) (version uint64, err error)
	setIf(ctx context.Context, key, value []byte, ttl time.Duration, version uint64) (uint64, error)
	remove(ctx context.Context, key []byte) error
	removeIf(ctx context.Context, key []byte, version uint64) error
	add(ctx context.Context, key []byte, delta int64, ttl time.Duration) (int64, error)
	take(ctx context.Context, key []byte, b Bucket, n uint32) (Taken, error)
	window(ctx context.Context, key []byte, w Window, n uint32) (Taken, error)
}

// Remote reports whether methods wait for another process.
func (s *Store) Remote() bool { return s.remote }

// Get returns the value of key, which is not to be written to, and its version.
// It returns ErrNotFound, or ErrKind if there is something else.
func (s *Store) Get(ctx context.Context, key []byte) (value []byte, version uint64, err error) {
	if !soundKey(key) {
		return nil, 0, ErrArgument
	}
	value, version, err = s.backend.get(ctx, key)
	return value, version, s.count(err)
}

// Set makes a copy of value that of key, whatever is there, and returns its
// version. It may return ErrFull.
func (s *Store) Set(ctx context.Context, key, value []byte, ttl time.Duration) (version uint64, err error) {
	if !s.sound(key, value, ttl) {
		return 0, ErrArgument
	}
	version, err = s.backend.set(ctx, key, value, ttl)
	return version, s.count(err)
}

// SetIf is Set if the key has the value of this version; with version 0, if there
// is nothing. Else it returns ErrCAS.
func (s *Store) SetIf(ctx context.Context, key, value []byte, ttl time.Duration, version uint64) (uint64, error) {
	if !s.sound(key, value, ttl) {
		return 0, ErrArgument
	}
	version, err := s.backend.setIf(ctx, key, value, ttl, version)
	return version, s.count(err)
}

// Delete removes what is there, or returns ErrNotFound.
func (s *Store) Delete(ctx context.Context, key []byte) error {
	if !soundKey(key) {
		return ErrArgument
	}
	return s.count(s.backend.remove(ctx, key))
}

// DeleteIf removes the value of this version, or returns ErrNotFound or ErrCAS.
func (s *Store) DeleteIf(ctx context.Context, key []byte, version uint64) error {
	if !soundKey(key) {
		return ErrArgument
	}
	return s.count(s.backend.removeIf(ctx, key, version))
}

// Add adds delta to a counter and returns the sum. A counter that is not there
// begins with 0 and gets the time to live; one that is there keeps its own, and a
// delta of 0 makes none. It returns ErrOverflow or ErrKind, and may return
// ErrFull.
func (s *Store) Add(ctx context.Context, key []byte, delta int64, ttl time.Duration) (int64, error) {
	if !soundKey(key) || !soundTTL(ttl) {
		return 0, ErrArgument
	}
	sum, err := s.backend.add(ctx, key, delta, ttl)
	return sum, s.count(err)
}

// Take takes n tokens out of a bucket if there are as many, all or none. A bucket
// that is not there is full, so one that is full again takes no room. With n 0 it
// only looks. It returns ErrKind, and may return ErrFull.
func (s *Store) Take(ctx context.Context, key []byte, b Bucket, n uint32) (Taken, error) {
	if !soundKey(key) || !b.sound() || n > b.Burst {
		return Taken{}, ErrArgument
	}
	taken, err := s.backend.take(ctx, key, b, n)
	return taken, s.count(err)
}

// Window admits n if so many fit the window, all or none. A window in which nothing
// was admitted takes no room. With n 0 it only looks. It returns ErrKind, and may
// return ErrFull.
func (s *Store) Window(ctx context.Context, key []byte, w Window, n uint32) (Taken, error) {
	if !soundKey(key) || !w.sound() || n > w.Limit {
		return Taken{}, ErrArgument
	}
	taken, err := s.backend.window(ctx, key, w, n)
	return taken, s.count(err)
}

func soundKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }

func soundTTL(ttl time.Duration) bool { return ttl >= 0 && ttl <= MaxTTL }

func (s *Store) sound(key, value []byte, ttl time.Duration) bool {
	return soundKey(key) && soundTTL(ttl) && int64(len(value)) <= s.limits.ValueBytes
}

// count counts refusals that somebody should know of.
func (s *Store) count(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, ErrFull):
		s.counts.full.Add(1)
	case errors.Is(err, ErrUnavailable):
		s.counts.unavailable.Add(1)
	}
	return err
}
