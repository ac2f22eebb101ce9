package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

func TestMemoryBounds(t *testing.T) {
	bucket := Bucket{Tokens: 1, Per: time.Second, Burst: 1}
	clock := newClock()
	r := NewRegistry(Options{MemoryBytes: 1 << 40, Now: clock.now})
	fits := entryBytes(1, 100)
	s := r.Local("p", Limits{Keys: 3, Bytes: 3 * fits, ValueBytes: 1 << 20})
	set := func(key string, size int, ttl time.Duration) error {
		_, err := s.Set(t.Context(), []byte(key), make([]byte, size), ttl)
		return err
	}
	for _, tc := range []struct {
		key  string
		size int
		ttl  time.Duration
		want error
	}{
		{"a", 100, time.Minute, nil},
		{"b", 100, time.Hour, nil},
		{"c", 101, 0, ErrFull}, // too many bytes
		{"c", 50, 0, nil},
		{"c", 101, 0, ErrFull},
		{"c", 100, 0, nil},
		{"c", 10, 0, nil},
		{"d", 0, 0, ErrFull}, // too many keys
	} {
		if err := set(tc.key, tc.size, tc.ttl); !errors.Is(err, tc.want) {
			t.Errorf("%s of %d bytes: got %v, want %v", tc.key, tc.size, err, tc.want)
		}
	}
	if _, err := s.Add(t.Context(), []byte("d"), 1, 0); !errors.Is(err, ErrFull) {
		t.Errorf("a counter: got %v, want ErrFull", err)
	}
	if _, err := s.Take(t.Context(), []byte("d"), bucket, 1); !errors.Is(err, ErrFull) {
		t.Errorf("a bucket: got %v, want ErrFull", err)
	}
	if taken, err := s.Take(t.Context(), []byte("d"), bucket, 0); !taken.Allowed || err != nil {
		t.Errorf("a look into a full bucket takes room: %+v, %v", taken, err)
	}
	clock.pass(time.Minute) // a makes room, in whichever shard it is
	if err := set("d", 0, 0); err != nil {
		t.Errorf("after something expired: %v", err)
	}
	if got, want := r.Stats().Policies, (PolicyStats{
		Policy: "p", Store: "memory", Keys: 3, Bytes: entryBytes(1, 100) + entryBytes(1, 10) + entryBytes(1, 0), Full: 5,
	}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A version of a policy with smaller limits takes nothing away.
func TestMemoryLimitsBelongToTheVersion(t *testing.T) {
	r := NewRegistry(Options{})
	before, after := r.Local("p", Limits{Keys: 2, Bytes: 1 << 20}), r.Local("p", Limits{Keys: 1, Bytes: 1 << 20})
	for _, key := range []string{"a", "b"} {
		if _, err := before.Add(t.Context(), []byte(key), 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := after.Add(t.Context(), []byte("b"), 1, 0); sum != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", sum, err)
	}
	if _, err := after.Add(t.Context(), []byte("c"), 1, 0); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

// When all policies are full together, what has expired of any makes room.
func TestMemoryIsBoundedInAll(t *testing.T) {
	clock := newClock()
	r := NewRegistry(Options{MemoryBytes: 2 * entryBytes(1, 0), Now: clock.now})
	a, b := r.Local("a", wide), r.Local("b", wide)
	for _, key := range []string{"1", "2"} {
		if _, err := a.Set(t.Context(), []byte(key), nil, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Set(t.Context(), []byte("1"), nil, 0); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	clock.pass(time.Second)
	if _, err := b.Set(t.Context(), []byte("1"), nil, 0); err != nil {
		t.Errorf("after the other's expired: %v", err)
	}
	if got, want := r.Stats().MemoryBytes, entryBytes(1, 0); got != want {
		t.Errorf("%d bytes are held, want %d", got, want)
	}
}

// A bucket that is full again is gone, so that a stranger who comes once with
// each of many addresses holds nothing for long.
func TestFullBucketsTakeNoRoom(t *testing.T) {
	clock := newClock()
	r := NewRegistry(Options{Now: clock.now})
	s := r.Local("p", wide)
	for n := range 1000 {
		if _, err := s.Take(t.Context(), fmt.Append(nil, n), Bucket{Tokens: 10, Per: time.Second, Burst: 10}, 5); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Stats().Policies[0].Keys; got != 1000 {
		t.Errorf("%d buckets are held, want 1000", got)
	}
	clock.pass(500 * time.Millisecond)
	if got := r.Stats().Policies[0]; got.Keys != 0 || got.Bytes != 0 {
		t.Errorf("%d buckets, %d bytes are held, want none", got.Keys, got.Bytes)
	}
}

// New keys that come faster than anything is refused find those gone that
// expired before: nobody sweeps for them.
func TestExpiredGoAsNewOnesCome(t *testing.T) {
	clock := newClock()
	r := NewRegistry(Options{Now: clock.now})
	s := r.Local("p", wide)
	for n := range 20_000 {
		if _, err := s.Set(t.Context(), fmt.Append(nil, n), nil, time.Second); err != nil {
			t.Fatal(err)
		}
		clock.pass(time.Millisecond)
	}
	if keys, _ := r.local["p"].sizes(); keys > 1100 {
		t.Errorf("%d keys are held, of which 1000 have not expired", keys)
	}
}

// The heap of a shard holds what expires, the next one first, whatever came,
// went and changed.
func TestShardKeepsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := newMemory(newClock().now, newBudget(1<<40, nil), nil)
	s := &m.shards[0]
	for turn := range 20_000 {
		key := fmt.Sprint(random.IntN(100))
		e := s.entries[key]
		switch {
		case e == nil:
			e = s.insert(key)
			m.keys.take(1)
			m.held.take(entryBytes(len(key), 0))
			fallthrough
		case random.IntN(3) > 0:
			s.setExpiry(e, time.Duration(random.IntN(50)))
		default:
			s.remove(m, e)
		}
		timed := 0
		for _, e := range s.entries {
			if e.expires != 0 {
				timed++
			}
		}
		if timed != len(s.timed) {
			t.Fatalf("turn %d: %d entries expire, %d are in the heap", turn, timed, len(s.timed))
		}
		for at, e := range s.timed {
			if e.place != at || e.expires < s.timed[max(at-1, 0)/2].expires {
				t.Fatalf("turn %d: entry %d is out of place", turn, at)
			}
		}
	}
	s.expire(m, 50, 1<<30)
	if len(s.timed) != 0 {
		t.Errorf("%d expired entries are left", len(s.timed))
	}
}

// What is counted is what it takes, within a few percent: the bounds hold.
func TestMemoryIsCountedRight(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector takes memory of its own")
	}
	for _, size := range []int{0, 100, 1000} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := NewRegistry(Options{MemoryBytes: 1 << 40})
		s, value := r.Local("p", wide), bytes.Repeat([]byte("v"), size)
		for n := range 100_000 {
			key := fmt.Appendf(nil, "client/%s/%08d", strings.Repeat("x", 10), n)
			if _, err := s.Set(t.Context(), key, value, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		taken, counted := float64(after.HeapAlloc-before.HeapAlloc), float64(r.Stats().MemoryBytes)
		if ratio := taken / counted; ratio > 1.1 || ratio < 0.7 {
			t.Errorf("values of %d bytes: %.0f bytes are taken, %.0f counted", size, taken, counted)
		} else {
			t.Logf("values of %d bytes: %.0f taken for each, %.0f counted", size, taken/100_000, counted/100_000)
		}
		runtime.KeepAlive(r)
	}
}

func TestMemoryAllocatesLittle(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	s := NewRegistry(Options{}).Local("p", wide)
	ctx := t.Context()
	bucket := Bucket{Tokens: 1e6, Per: time.Second, Burst: 1e6}
	value, counter, tokens := []byte("value"), []byte("counter"), []byte("bucket")
	for _, tc := range []struct {
		name string
		want float64
		run  func()
	}{
		{"get", 0, func() { _, _, _ = s.Get(ctx, value) }},
		{"set", 1, func() { _, _ = s.Set(ctx, value, value, time.Hour) }}, // the copy
		{"add", 0, func() { _, _ = s.Add(ctx, counter, 1, time.Hour) }},
		{"take", 0, func() { _, _ = s.Take(ctx, tokens, bucket, 1) }},
	} {
		tc.run()
		if got := testing.AllocsPerRun(100, tc.run); got != tc.want {
			t.Errorf("%s: %v allocations, want %v", tc.name, got, tc.want)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	ctx, bucket := b.Context(), Bucket{Tokens: 1e6, Per: time.Second, Burst: 1e6}
	keys := make([][]byte, 1024)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "client/192.0.2.%d", i)
	}
	for name, run := range map[string]func(s *Store, key []byte){
		"get":  func(s *Store, key []byte) { _, _, _ = s.Get(ctx, key) },
		"set":  func(s *Store, key []byte) { _, _ = s.Set(ctx, key, key, time.Hour) },
		"add":  func(s *Store, key []byte) { _, _ = s.Add(ctx, key, 1, time.Hour) },
		"take": func(s *Store, key []byte) { _, _ = s.Take(ctx, key, bucket, 1) },
	} {
		b.Run(name, func(b *testing.B) {
			s := NewRegistry(Options{}).Local("p", wide)
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					run(s, keys[n%len(keys)])
				}
			})
		})
	}
}
