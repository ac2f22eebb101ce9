package state

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func newTestShared(limits sharedLimits) *Shared {
	return newShared(limits, newBudget(1<<40, nil))
}

func TestSharedBelongsToTheName(t *testing.T) {
	r := NewRegistry(Options{})
	a, again, b := r.Shared("a"), r.Shared("a"), r.Shared("b")
	if a != again {
		t.Error("the same name led to something else")
	}
	if err := a.Set("k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := b.Get("k"); ok {
		t.Error("another policy sees the value")
	}
}

func TestSharedCompareAndSwap(t *testing.T) {
	s := newTestShared(defaultSharedLimits)
	if _, _, ok := s.Get("k"); ok {
		t.Error("there is a value before any was set")
	}
	value := []byte("one")
	if err := s.Set("k", value, 77); err != nil { // nothing to compare with
		t.Errorf("cas for a missing key: %v", err)
	}
	value[0] = 'X'
	got, first, _ := s.Get("k")
	if string(got) != "one" || first == 0 {
		t.Errorf("got %q with cas %d", got, first)
	}
	if err := s.Set("k", []byte("two"), first+1); !errors.Is(err, ErrCAS) {
		t.Errorf("wrong cas: got %v, want ErrCAS", err)
	}
	if err := s.Set("k", []byte("two"), first); err != nil {
		t.Errorf("right cas: %v", err)
	}
	if err := s.Set("k", []byte("three"), first); !errors.Is(err, ErrCAS) {
		t.Errorf("old cas: got %v, want ErrCAS", err)
	}
	if err := s.Set("k", nil, 0); err != nil {
		t.Errorf("cas 0: %v", err)
	}
	got, last, ok := s.Get("k")
	if len(got) != 0 || !ok || last == first {
		t.Errorf("got %q, %t with cas %d", got, ok, last)
	}
	if got, want := next(1<<32-1), uint32(1); got != want {
		t.Errorf("after the last cas comes %d, want %d", got, want)
	}
}

func TestSharedIsBounded(t *testing.T) {
	limits := sharedLimits{bytes: 1000, queues: 2, messages: 3}
	s := newTestShared(limits)
	room := strings.Repeat("v", 1000-entryOverhead-1)
	for _, tc := range []struct {
		key, value string
		want       error
	}{
		{"k", room + "v", ErrFull},
		{"k", room, nil},
		{"l", "", ErrFull},
		{"k", "", nil},
		{"l", "v", nil},
	} {
		if err := s.Set(tc.key, []byte(tc.value), 0); !errors.Is(err, tc.want) {
			t.Errorf("set %s to %d bytes: got %v, want %v", tc.key, len(tc.value), err, tc.want)
		}
	}
	if got := s.counts.full.Load(); got != 2 {
		t.Errorf("%d refusals were counted, want 2", got)
	}

	s = newTestShared(limits)
	for i, want := range []error{nil, nil, ErrFull} {
		if _, err := s.Register(fmt.Sprint(i), &told{}); !errors.Is(err, want) {
			t.Errorf("queue %d: got %v, want %v", i, err, want)
		}
	}
	for i, want := range []error{nil, nil, nil, ErrFull} {
		if err := s.Enqueue(1, []byte("m")); !errors.Is(err, want) {
			t.Errorf("message %d: got %v, want %v", i, err, want)
		}
	}
	if err := s.Enqueue(2, make([]byte, 1000)); !errors.Is(err, ErrFull) {
		t.Errorf("a large message: got %v, want ErrFull", err)
	}
}

func TestAllTogetherAreBounded(t *testing.T) {
	r := NewRegistry(Options{MemoryBytes: 1000})
	if err := r.Shared("a").Set("k", make([]byte, 500), 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Shared("b").Set("k", make([]byte, 500), 0); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if got := r.Shared("b").held.used.Load(); got != 0 {
		t.Errorf("%d bytes are counted after a refusal", got)
	}
}

// told counts how often it is told.
type told struct{ times atomic.Int64 }

func (r *told) QueueReady(uint32) { r.times.Add(1) }

func (r *told) want(t *testing.T, times int64) {
	t.Helper()
	if got := r.times.Load(); got != times {
		t.Errorf("told %d times, want %d", got, times)
	}
}

func TestQueue(t *testing.T) {
	s := newTestShared(defaultSharedLimits)
	if _, ok := s.Resolve("jobs"); ok {
		t.Error("a queue that nobody registered was found")
	}
	if err := s.Enqueue(1, nil); !errors.Is(err, ErrNoQueue) {
		t.Errorf("enqueue: got %v, want ErrNoQueue", err)
	}
	if _, err := s.Dequeue(1); !errors.Is(err, ErrNoQueue) {
		t.Errorf("dequeue: got %v, want ErrNoQueue", err)
	}
	reader := new(told)
	id, err := s.Register("jobs", reader)
	if err != nil || id == 0 {
		t.Fatalf("register: %d, %v", id, err)
	}
	if found, ok := s.Resolve("jobs"); found != id || !ok {
		t.Errorf("resolved to %d, want %d", found, id)
	}
	if _, err := s.Dequeue(id); !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
	for _, message := range []string{"one", "", "three"} {
		if err := s.Enqueue(id, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	reader.want(t, 3)
	for _, want := range []string{"one", "", "three"} {
		if got, err := s.Dequeue(id); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if got, want := s.held.used.Load(), int64(len("jobs")+entryOverhead); got != want {
		t.Errorf("an empty queue holds %d bytes, want %d", got, want)
	}
}

// The versions of a policy come and go in any order; a queue and its messages
// stay.
func TestTheLastRegistrantIsTold(t *testing.T) {
	s := newTestShared(defaultSharedLimits)
	old, fresh, tried := new(told), new(told), new(told)
	id, _ := s.Register("jobs", old)
	enqueue := func() {
		t.Helper()
		if err := s.Enqueue(id, []byte("m")); err != nil {
			t.Fatal(err)
		}
	}
	enqueue()
	if again, _ := s.Register("jobs", fresh); again != id {
		t.Errorf("the queue's id became %d, was %d", again, id)
	}
	enqueue()
	s.Unregister(id, old)
	enqueue()
	_, _ = s.Register("jobs", tried)
	_, _ = s.Register("jobs", tried) // by another instance
	enqueue()
	s.Unregister(id, tried)
	enqueue()
	s.Unregister(id, fresh)
	s.Unregister(id, fresh)
	s.Unregister(99, fresh)
	enqueue()
	old.want(t, 1)
	fresh.want(t, 3)
	tried.want(t, 1)
	for range 6 {
		if _, err := s.Dequeue(id); err != nil {
			t.Fatal(err)
		}
	}
}

// taker takes what it is told of: it needs the lock that it must not be called
// under.
type taker struct {
	s     *Shared
	taken atomic.Int64
}

func (r *taker) QueueReady(id uint32) {
	if _, err := r.s.Dequeue(id); err == nil {
		r.taken.Add(1)
	}
}

func TestHammerShared(t *testing.T) {
	const workers, turns = 8, 500
	s := newTestShared(defaultSharedLimits)
	reader := &taker{s: s}
	id, _ := s.Register("q", reader)
	if err := s.Set("n", nil, 0); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for range turns {
				increment(s, "n")
				_ = s.Enqueue(id, []byte("m"))
				other := new(told)
				own, _ := s.Register("other", other)
				s.Unregister(own, other)
			}
		})
	}
	work.Wait()
	value, _, _ := s.Get("n")
	if got, want := len(value), workers*turns; got != want {
		t.Errorf("%d increments are left, want %d", got, want)
	}
	if got, want := reader.taken.Load(), int64(workers*turns); got != want {
		t.Errorf("%d messages were taken, want %d", got, want)
	}
}

// increment makes a value one byte longer, by compare and swap.
func increment(s *Shared, key string) {
	for {
		value, cas, _ := s.Get(key)
		if s.Set(key, append(value[:len(value):len(value)], '+'), cas) == nil {
			return
		}
	}
}
