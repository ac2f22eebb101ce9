package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// subject is a store of either kind, with time that can be made to pass.
type subject struct {
	*testing.T
	*Store
	pass func(time.Duration)
}

var wide = Limits{Keys: 1 << 20, Bytes: 1 << 30, ValueBytes: 1 << 20}

// forBoth runs a test on a store in this process and on one in a real Redis.
func forBoth(t *testing.T, test func(s *subject)) {
	t.Run("memory", func(t *testing.T) {
		clock := newClock()
		r := NewRegistry(Options{MemoryBytes: 1 << 40, Now: clock.now})
		test(&subject{t, r.Local("p", wide), clock.pass})
	})
	t.Run("redis", func(t *testing.T) {
		server := hosttest.StartRedis(t)
		r := newRemoteRegistry(t, server, time.Second)
		test(&subject{t, r.Remote("p", wide), func(d time.Duration) {
			over := time.Now().Add(d)
			hosttest.Eventually(t, func() bool { return time.Now().After(over) }, "time passes")
		}})
	})
}

func newRemoteRegistry(t testing.TB, server *hosttest.Redis, timeout time.Duration) *Registry {
	t.Helper()
	r := NewRegistry(Options{Redis: &RedisOptions{Address: server.Address, Timeout: timeout, Connections: 16, Prefix: "ergo"}})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// clock is time that passes when it is told to.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(int64(time.Hour))
	return c
}

func (c *clock) now() time.Duration     { return time.Duration(c.at.Load()) }
func (c *clock) pass(d time.Duration)   { c.at.Add(int64(d)) }
func (s *subject) want(err, want error) { s.Helper(); s.is(err, want, "unexpected") }

func (s *subject) is(err, want error, what string) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// put sets a value and returns its version.
func (s *subject) put(key, value string) uint64 {
	s.Helper()
	version, err := s.Set(s.Context(), []byte(key), []byte(value), 0)
	if err != nil || version == 0 {
		s.Fatalf("set %s: version %d, %v", key, version, err)
	}
	return version
}

func (s *subject) holds(key, want string) (version uint64) {
	s.Helper()
	value, version, err := s.Get(s.Context(), []byte(key))
	if err != nil || string(value) != want || version == 0 {
		s.Errorf("%s: got %q, version %d, %v, want %q", key, value, version, err, want)
	}
	return version
}

func (s *subject) lacks(key string) {
	s.Helper()
	_, version, err := s.Get(s.Context(), []byte(key))
	s.is(err, ErrNotFound, key)
	if version != 0 {
		s.Errorf("%s: version %d of nothing", key, version)
	}
}

func TestSetAndGet(t *testing.T) {
	forBoth(t, func(s *subject) {
		s.lacks("k")
		value := []byte("one")
		first, err := s.Set(s.Context(), []byte("k"), value, 0)
		s.want(err, nil)
		value[0] = 'X'
		if got := s.holds("k", "one"); got != first {
			s.Errorf("read version %d, want %d", got, first)
		}
		if second := s.put("k", "two"); second == first {
			s.Error("two values have one version")
		}
		s.holds("k", "two")
		s.put("k", "")
		s.holds("k", "")
		binary := "\x00\xff: \r\n"
		s.put(binary, binary)
		s.holds(binary, binary)
	})
}

func TestTimeToLive(t *testing.T) {
	const ttl = 60 * time.Millisecond
	forBoth(t, func(s *subject) {
		for _, key := range []string{"k", "kept"} {
			if _, err := s.Set(s.Context(), []byte(key), []byte("v"), ttl); err != nil {
				s.Fatal(err)
			}
		}
		if _, err := s.SetIf(s.Context(), []byte("new"), nil, ttl, 0); err != nil {
			s.Fatal(err)
		}
		if _, err := s.Add(s.Context(), []byte("n"), 5, ttl); err != nil {
			s.Fatal(err)
		}
		if _, err := s.SetIf(s.Context(), []byte("new"), []byte("v"), ttl, s.holds("new", "")); err != nil {
			s.Fatal(err)
		}
		s.put("kept", "for ever")
		s.holds("k", "v")
		s.pass(ttl / 2)
		if sum, err := s.Add(s.Context(), []byte("n"), 1, MaxTTL); sum != 6 || err != nil { // it keeps its end
			s.Errorf("got %d, %v, want 6", sum, err)
		}
		s.pass(ttl)
		s.lacks("k")
		s.lacks("new")
		s.holds("kept", "for ever")
		if sum, err := s.Add(s.Context(), []byte("n"), 1, 0); sum != 1 || err != nil {
			s.Errorf("a counter that ended went on: %d, %v", sum, err)
		}
		s.want(s.Delete(s.Context(), []byte("k")), ErrNotFound)
	})
}

func TestSetIf(t *testing.T) {
	forBoth(t, func(s *subject) {
		setIf := func(value string, version uint64) (uint64, error) {
			return s.SetIf(s.Context(), []byte("k"), []byte(value), 0, version)
		}
		_, err := setIf("one", 7)
		s.is(err, ErrCAS, "nothing there")
		first, err := setIf("one", 0)
		s.is(err, nil, "if there is nothing")
		version, err := setIf("two", 0)
		s.is(err, ErrCAS, "something there")
		if version != 0 {
			s.Errorf("a refusal returns version %d", version)
		}
		second, err := setIf("two", first)
		s.is(err, nil, "right version")
		_, err = setIf("three", first)
		s.is(err, ErrCAS, "old version")
		if got := s.holds("k", "two"); got != second {
			s.Errorf("read version %d, want %d", got, second)
		}
		// Who read a value that has gone and come back did not read this one.
		s.want(s.Delete(s.Context(), []byte("k")), nil)
		s.put("k", "two")
		_, err = setIf("three", second)
		s.is(err, ErrCAS, "a version from before a deletion")
	})
}

func TestDelete(t *testing.T) {
	forBoth(t, func(s *subject) {
		key := []byte("k")
		s.is(s.Delete(s.Context(), key), ErrNotFound, "nothing there")
		s.is(s.DeleteIf(s.Context(), key, 1), ErrNotFound, "no version there")
		version := s.put("k", "v")
		s.is(s.DeleteIf(s.Context(), key, version+1), ErrCAS, "wrong version")
		s.is(s.DeleteIf(s.Context(), key, 0), ErrCAS, "version 0")
		s.is(s.DeleteIf(s.Context(), key, version), nil, "right version")
		s.lacks("k")
		s.put("k", "v")
		s.is(s.Delete(s.Context(), key), nil, "a value")
		s.lacks("k")
	})
}

func TestAdd(t *testing.T) {
	forBoth(t, func(s *subject) {
		add := func(key string, delta, want int64, wantErr error) {
			s.Helper()
			got, err := s.Add(s.Context(), []byte(key), delta, 0)
			if got != want || !errors.Is(err, wantErr) {
				s.Errorf("%s + %d: got %d, %v, want %d, %v", key, delta, got, err, want, wantErr)
			}
		}
		add("n", 0, 0, nil)
		s.lacks("n")
		add("n", 1, 1, nil)
		add("n", -5, -4, nil)
		add("n", 0, -4, nil)
		add("most", math.MaxInt64, math.MaxInt64, nil)
		add("most", 1, 0, ErrOverflow)
		add("most", -1, math.MaxInt64-1, nil)
		add("least", math.MinInt64, math.MinInt64, nil)
		add("least", -1, 0, ErrOverflow)
		add("least", math.MinInt64, 0, ErrOverflow)
		add("least", math.MaxInt64, -1, nil)
		add("exact", 1<<53, 1<<53, nil) // no float holds the next one
		add("exact", 1, 1<<53+1, nil)
	})
}

func TestKinds(t *testing.T) {
	bucket := Bucket{Tokens: 1, Per: time.Hour, Burst: 2}
	forBoth(t, func(s *subject) {
		ctx := s.Context()
		counter, tokens := []byte("counter"), []byte("bucket")
		s.put("value", "12") // no counter, though it reads like one
		_, err := s.Add(ctx, counter, 1, 0)
		s.want(err, nil)
		_, err = s.Take(ctx, tokens, bucket, 1)
		s.want(err, nil)

		_, err = s.Add(ctx, []byte("value"), 1, 0)
		s.is(err, ErrKind, "add to a value")
		_, err = s.Add(ctx, tokens, 1, 0)
		s.is(err, ErrKind, "add to a bucket")
		_, err = s.Take(ctx, []byte("value"), bucket, 1)
		s.is(err, ErrKind, "take from a value")
		_, err = s.Take(ctx, counter, bucket, 1)
		s.is(err, ErrKind, "take from a counter")
		for _, key := range [][]byte{counter, tokens} {
			_, _, err = s.Get(ctx, key)
			s.is(err, ErrKind, "get")
			_, err = s.SetIf(ctx, key, nil, 0, 1)
			s.is(err, ErrCAS, "set a version")
			_, err = s.SetIf(ctx, key, nil, 0, 0)
			s.is(err, ErrCAS, "set a new value")
			s.is(s.DeleteIf(ctx, key, 1), ErrCAS, "delete a version")
		}
		s.want(s.Delete(ctx, counter), nil)
		s.put("bucket", "now a value")
		s.holds("bucket", "now a value")
		_, err = s.Take(ctx, tokens, bucket, 1)
		s.is(err, ErrKind, "take from what was a bucket")
	})
}

func TestTake(t *testing.T) {
	forBoth(t, func(s *subject) {
		key, slow := []byte("b"), Bucket{Tokens: 1, Per: time.Hour, Burst: 10}
		take := func(n uint32, allowed bool, remaining uint32) Taken {
			s.Helper()
			got, err := s.Take(s.Context(), key, slow, n)
			if got.Allowed != allowed || got.Remaining != remaining || err != nil || allowed == (got.RetryAfter > 0) {
				s.Errorf("take %d: got %+v, %v, want %t with %d left", n, got, err, allowed, remaining)
			}
			return got
		}
		take(0, true, 10)
		take(10, true, 0)
		take(0, true, 0)
		if wait := take(1, false, 0).RetryAfter; wait > time.Hour || wait < time.Hour-time.Minute {
			s.Errorf("a token comes back after %v, want an hour", wait)
		}
		slow.Burst = 5 // fewer than were taken
		take(5, false, 0)

		key = []byte("c")
		take(2, true, 3)
		take(4, false, 3)
		take(3, true, 0)
	})
}

// Tokens come back one by one, and who waits as long as it was told gets them.
func TestTokensComeBack(t *testing.T) {
	forBoth(t, func(s *subject) {
		ctx, key := s.Context(), []byte("b")
		b := Bucket{Tokens: 3, Per: 100 * time.Millisecond, Burst: 3}
		for n := range uint32(6) {
			got, err := s.Take(ctx, key, b, 3)
			if err != nil || got.Allowed != (n%2 == 0) {
				s.Fatalf("turn %d: got %+v, %v", n, got, err)
			}
			s.pass(got.RetryAfter)
		}
		s.pass(b.Per)
		if got, err := s.Take(ctx, key, b, 0); got.Remaining != 3 || err != nil {
			s.Errorf("got %+v, %v, want a full bucket", got, err)
		}
	})
}

func TestArgumentsAreBounded(t *testing.T) {
	long, key := bytes.Repeat([]byte("k"), MaxKeyBytes+1), []byte("k")
	sound := Bucket{Tokens: 1, Per: time.Second, Burst: 1}
	forBoth(t, func(s *subject) {
		ctx := s.Context()
		for _, bad := range [][]byte{nil, long} {
			_, _, err := s.Get(ctx, bad)
			s.is(err, ErrArgument, "get")
			_, err = s.Set(ctx, bad, nil, 0)
			s.is(err, ErrArgument, "set")
			_, err = s.SetIf(ctx, bad, nil, 0, 0)
			s.is(err, ErrArgument, "set if")
			_, err = s.Add(ctx, bad, 1, 0)
			s.is(err, ErrArgument, "add")
			_, err = s.Take(ctx, bad, sound, 1)
			s.is(err, ErrArgument, "take")
			s.is(s.Delete(ctx, bad), ErrArgument, "delete")
			s.is(s.DeleteIf(ctx, bad, 1), ErrArgument, "delete if")
		}
		_, err := s.Set(ctx, long[1:], nil, MaxTTL)
		s.is(err, nil, "the longest key and time")
		for _, bad := range []time.Duration{-1, MaxTTL + 1} {
			_, err = s.Set(ctx, key, nil, bad)
			s.is(err, ErrArgument, bad.String())
			_, err = s.Add(ctx, key, 1, bad)
			s.is(err, ErrArgument, bad.String())
		}
		_, err = s.Set(ctx, key, make([]byte, wide.ValueBytes), 0)
		s.is(err, nil, "the largest value")
		_, err = s.Set(ctx, key, make([]byte, wide.ValueBytes+1), 0)
		s.is(err, ErrArgument, "a larger value")
		for _, bad := range []Bucket{
			{}, {Tokens: 1, Per: time.Second}, {Tokens: 1, Burst: 1}, {Per: time.Second, Burst: 1},
			{Tokens: 1, Per: MaxTTL + time.Second, Burst: 1}, {Tokens: 1, Per: MaxTTL, Burst: 2},
			{Tokens: 1, Per: time.Microsecond, Burst: 1},
		} {
			_, err = s.Take(ctx, []byte("b"), bad, 0)
			s.is(err, ErrArgument, fmt.Sprintf("%+v", bad))
		}
		_, err = s.Take(ctx, []byte("b"), sound, 2)
		s.is(err, ErrArgument, "more than the bucket holds")
	})
}

func TestPoliciesDoNotMeet(t *testing.T) {
	server := hosttest.StartRedis(t)
	r, other := newRemoteRegistry(t, server, time.Second), newRemoteRegistry(t, server, time.Second)
	for _, tc := range []struct {
		name string
		a, b *Store
		same bool
	}{
		{"two policies", r.Local("a", wide), r.Local("b", wide), false},
		{"two versions of a policy", r.Local("c", wide), r.Local("c", wide), true},
		{"two processes", r.Local("d", wide), other.Local("d", wide), false},
		{"two policies of one Redis", r.Remote("a", wide), r.Remote("b", wide), false},
		{"two processes with one Redis", r.Remote("c", wide), other.Remote("c", wide), true},
		{"both kinds", r.Local("e", wide), r.Remote("e", wide), false},
	} {
		if _, err := tc.a.Set(t.Context(), []byte("k"), nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tc.b.Get(t.Context(), []byte("k")); errors.Is(err, ErrNotFound) == tc.same {
			t.Errorf("%s: got %v, same: %t", tc.name, err, tc.same)
		}
	}
	if reply, err := server.Do("EXISTS", "ergo:c:k"); reply != ":1" || err != nil {
		t.Errorf("the key has another name in Redis: %s, %v", reply, err)
	}
}

// Whatever is done to both stores, they say the same.
func TestStoresAgree(t *testing.T) {
	server := hosttest.StartRedis(t)
	r := newRemoteRegistry(t, server, 5*time.Second)
	random := rand.New(rand.NewPCG(1, 2))
	here, there := r.Local("p", wide), r.Remote("p", wide)
	versions := map[string][2]uint64{}
	for turn := range 5000 {
		key := fmt.Sprint("k", random.IntN(6))
		step := randomStep(random, key)
		a, b := step.on(here, versions[key][0]), step.on(there, versions[key][1])
		if a.text != b.text {
			t.Fatalf("turn %d, %+v: got %s in memory, %s in Redis", turn, step, a.text, b.text)
		}
		if a.version != 0 {
			versions[key] = [2]uint64{a.version, b.version}
		}
	}
}

// step is one operation with its arguments.
type step struct {
	operation int
	key       string
	n         int64
}

func randomStep(random *rand.Rand, key string) step {
	n := random.Int64N(20) - 8
	if random.IntN(10) == 0 {
		n = random.Int64() - 1<<62
	}
	return step{random.IntN(8), key, n}
}

type outcome struct {
	text    string
	version uint64
}

func (o step) on(s *Store, version uint64) outcome {
	ctx, key, value := context.Background(), []byte(o.key), fmt.Append(nil, o.n)
	switch o.operation {
	case 0:
		value, version, err := s.Get(ctx, key)
		return outcome{fmt.Sprint(string(value), err), version}
	case 1:
		version, err := s.Set(ctx, key, value, time.Hour)
		return outcome{fmt.Sprint(err), version}
	case 2:
		version, err := s.SetIf(ctx, key, value, 0, version)
		return outcome{fmt.Sprint(err), version}
	case 3:
		version, err := s.SetIf(ctx, key, value, 0, 0)
		return outcome{fmt.Sprint(err), version}
	case 4:
		return outcome{fmt.Sprint(s.Delete(ctx, key)), 0}
	case 5:
		return outcome{fmt.Sprint(s.DeleteIf(ctx, key, version)), 0}
	case 6:
		sum, err := s.Add(ctx, key, o.n, time.Hour)
		return outcome{fmt.Sprint(sum, err), 0}
	}
	taken, err := s.Take(ctx, key, Bucket{Tokens: 1, Per: 24 * time.Hour, Burst: 30}, uint32(max(o.n, 0)&15))
	return outcome{fmt.Sprint(taken.Allowed, taken.Remaining, taken.RetryAfter.Round(time.Hour), err), 0}
}

func TestHammerStore(t *testing.T) {
	const workers, turns, burst = 8, 200, 300
	forBoth(t, func(s *subject) {
		var (
			work     sync.WaitGroup
			allowed  atomic.Int64
			inserted atomic.Int64
		)
		ctx := s.Context()
		version := s.put("cas", "")
		for worker := range workers {
			work.Go(func() {
				for turn := range turns {
					if _, err := s.Add(ctx, []byte("n"), 2, time.Hour); err != nil {
						s.Error(err)
					}
					taken, err := s.Take(ctx, []byte("b"), Bucket{Tokens: 1, Per: 24 * time.Hour, Burst: burst}, 1)
					if err != nil {
						s.Error(err)
					}
					if taken.Allowed {
						allowed.Add(1)
					}
					own := fmt.Append(nil, worker, "/", turn)
					if _, err := s.SetIf(ctx, own, own, time.Hour, 0); err != nil {
						s.Error(err)
					}
					if err := s.Delete(ctx, own); err != nil {
						s.Error(err)
					}
				}
				if _, err := s.SetIf(ctx, []byte("cas"), nil, 0, version); err == nil {
					inserted.Add(1)
				}
			})
		}
		work.Wait()
		if sum, err := s.Add(ctx, []byte("n"), 0, 0); sum != 2*workers*turns || err != nil {
			s.Errorf("got %d, %v, want %d", sum, err, 2*workers*turns)
		}
		if got := allowed.Load(); got != burst {
			s.Errorf("%d tokens were taken, want %d", got, burst)
		}
		if got := inserted.Load(); got != 1 {
			s.Errorf("%d of %d won the swap, want 1", got, workers)
		}
	})
}
