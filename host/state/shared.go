package state

import (
	"bytes"
	"sync"
)

// sharedLimits bound what the instances of one policy share.
type sharedLimits struct {
	bytes    int64 // of keys, values and messages, and what holds them
	queues   int
	messages int // of one queue
}

// The ABI names no bounds, and Envoy has none. These are far above what the
// plugins known to us keep, and small against a process.
var defaultSharedLimits = sharedLimits{bytes: 16 << 20, queues: 64, messages: 10_000}

// What an entry or a message takes beside its own bytes, about.
const (
	entryOverhead   = 128
	messageOverhead = 32
)

// Shared is what the instances of one proxy-wasm policy share, of all its
// versions: key-value data and queues. It is always kept in this process. Its
// methods are safe for concurrent use.
type Shared struct {
	limits sharedLimits
	held   *budget
	counts counts

	mu      sync.Mutex
	data    map[string]sharedValue
	lastCAS uint32
	queues  map[uint32]*queue
	ids     map[string]uint32 // of queues, by name
}

type sharedValue struct {
	bytes []byte // never written to
	cas   uint32
}

func newShared(limits sharedLimits, wider *budget) *Shared {
	return &Shared{
		limits: limits,
		held:   newBudget(limits.bytes, wider),
		data:   make(map[string]sharedValue),
		queues: make(map[uint32]*queue),
		ids:    make(map[string]uint32),
	}
}

// Get returns the value of key, which is not to be written to, and the number by
// which Set knows whether it is still this one.
func (s *Shared) Get(key string) (value []byte, cas uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.data[key]
	return v.bytes, v.cas, ok
}

// Set makes a copy of value that of key. With cas 0 it always does; with another
// one only if the key has no value, or still the one that Get returned with that
// cas: else it returns ErrCAS. Each value gets a new cas, which is never 0. It
// returns ErrFull if a bound would be exceeded.
func (s *Shared) Set(key string, value []byte, cas uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, there := s.data[key]
	if there && cas != 0 && cas != before.cas {
		return ErrCAS
	}
	more := int64(len(value) - len(before.bytes))
	if !there {
		more += int64(len(key)) + entryOverhead
	}
	if !s.hold(more) {
		return ErrFull
	}
	s.lastCAS = next(s.lastCAS)
	s.data[key] = sharedValue{bytes: bytes.Clone(value), cas: s.lastCAS}
	return nil
}

// hold takes n bytes and counts refusals.
func (s *Shared) hold(n int64) bool {
	if !s.held.take(n) {
		s.counts.full.Add(1)
		return false
	}
	return true
}

// sizes are how much is held: values and messages alike.
func (s *Shared) sizes() (keys, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys = int64(len(s.data))
	for _, q := range s.queues {
		keys += int64(len(q.messages))
	}
	return keys, s.held.used.Load()
}

// next returns the number after n; 0 stands for none and is left out.
func next(n uint32) uint32 {
	if n++; n == 0 {
		n = 1
	}
	return n
}
