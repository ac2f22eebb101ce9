package state

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestWindow(t *testing.T) {
	forBoth(t, func(s *subject) {
		key, slow := []byte("w"), Window{Limit: 10, Per: time.Hour}
		admit := func(n uint32, allowed bool, remaining uint32) Taken {
			s.Helper()
			got, err := s.Window(s.Context(), key, slow, n)
			if got.Allowed != allowed || got.Remaining != remaining || err != nil || allowed == (got.RetryAfter > 0) {
				s.Errorf("admit %d: got %+v, %v, want %t with %d left", n, got, err, allowed, remaining)
			}
			return got
		}
		admit(0, true, 10)
		admit(7, true, 3)
		admit(4, false, 3)
		admit(3, true, 0)
		admit(0, true, 0)
		if wait := admit(1, false, 0).RetryAfter; wait > time.Hour+37*time.Second || wait < time.Hour-time.Minute {
			s.Errorf("a place is free after %v, want an hour", wait)
		}
		slow.Limit = 5 // less than was admitted
		admit(5, false, 0)
		_, err := s.Take(s.Context(), key, Bucket{Tokens: 1, Per: time.Hour, Burst: 1}, 1)
		s.is(err, ErrKind, "take from a window")
		_, err = s.Add(s.Context(), key, 1, 0)
		s.is(err, ErrKind, "add to a window")
		_, _, err = s.Get(s.Context(), key)
		s.is(err, ErrKind, "get a window")
		_, err = s.SetIf(s.Context(), key, nil, 0, 1)
		s.is(err, ErrCAS, "set a version")
		s.put("value", "v")
		_, err = s.Window(s.Context(), []byte("value"), slow, 1)
		s.is(err, ErrKind, "a value is no window")
		_, err = s.Add(s.Context(), []byte("counter"), 1, 0)
		s.want(err, nil)
		_, err = s.Window(s.Context(), []byte("counter"), slow, 1)
		s.is(err, ErrKind, "a counter is no window")
		for _, bad := range []Window{{}, {Limit: 1}, {Per: time.Second}, {Limit: 1, Per: MaxTTL}, {Limit: 1, Per: time.Microsecond}} {
			_, err = s.Window(s.Context(), []byte("other"), bad, 0)
			s.is(err, ErrArgument, fmt.Sprintf("%+v", bad))
		}
		_, err = s.Window(s.Context(), []byte("other"), slow, slow.Limit+1)
		s.is(err, ErrArgument, "more than the limit")
		s.want(s.Delete(s.Context(), key), nil)
		admit(5, true, 0)
	})
}

// Who waits as long as it was told is admitted.
func TestPlacesComeBack(t *testing.T) {
	forBoth(t, func(s *subject) {
		w := Window{Limit: 3, Per: 100 * time.Millisecond}
		for n := range 6 {
			got, err := s.Window(s.Context(), []byte("w"), w, 3)
			if err != nil || got.Allowed != (n%2 == 0) {
				s.Fatalf("%d: got %+v, %v", n, got, err)
			}
			s.pass(got.RetryAfter)
		}
	})
}

// TestWindowAgainstALog holds a window against a list of all that was admitted: it
// never admits more, and refuses only what a window a hundredth longer would.
func TestWindowAgainstALog(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		w := Window{Limit: 1 + random.Uint32N(50), Per: time.Duration(1+random.IntN(5000)) * time.Millisecond}
		clock := newClock()
		store := NewRegistry(Options{Now: clock.now}).Local("p", wide)
		type admission struct {
			at time.Duration
			n  uint32
		}
		var log []admission
		within := func(length time.Duration) (sum uint32) {
			for _, a := range log {
				if a.at > clock.now()-length {
					sum += a.n
				}
			}
			return sum
		}
		for range 300 {
			clock.pass(time.Duration(random.Int64N(int64(w.Per) / 20)))
			n := 1 + random.Uint32N(min(w.Limit, 5))
			got, err := store.Window(t.Context(), []byte("w"), w, n)
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed && within(w.Per)+n > w.Limit {
				t.Fatalf("%+v: %d were admitted to the %d in the window", w, n, within(w.Per))
			}
			if !got.Allowed && within(w.Per+w.Per/windowParts+time.Microsecond)+n <= w.Limit {
				t.Fatalf("%+v: %d were refused with %d in the window", w, n, within(w.Per))
			}
			if got.Allowed {
				log = append(log, admission{clock.now(), n})
			}
		}
	}
}

func TestWindowIsBounded(t *testing.T) {
	clock := newClock()
	w := Window{Limit: 1 << 30, Per: time.Second}
	store := NewRegistry(Options{Now: clock.now}).Local("p", Limits{Keys: 10, Bytes: 2000, ValueBytes: 1})
	for range 1000 {
		if _, err := store.Window(t.Context(), []byte("w"), w, 1); err != nil {
			t.Fatal(err) // 101 parts are 1212 bytes
		}
		clock.pass(w.Per / windowParts / 2)
	}
	if _, err := store.Window(t.Context(), []byte("a second"), w, 1); err != nil {
		t.Fatal(err)
	}
	for turn := 0; ; turn++ {
		_, err := store.Window(t.Context(), fmt.Append(nil, "made up ", turn), w, 1)
		if err != nil {
			break // its bytes are counted
		}
		if turn == 10 {
			t.Fatal("ten windows fit where five should")
		}
	}
	clock.pass(2 * w.Per)
	if got, err := store.Window(t.Context(), []byte("made up"), w, 1); !got.Allowed || err != nil {
		t.Errorf("got %+v, %v: what is over stays", got, err)
	}
}

// Both stores count alike, and in Redis nothing is lost between hosts.
func TestHammerWindow(t *testing.T) {
	const workers, turns, limit = 8, 300, 500
	forBoth(t, func(s *subject) {
		var work sync.WaitGroup
		var admitted atomic.Int64
		for range workers {
			work.Go(func() {
				for range turns {
					got, err := s.Window(s.Context(), []byte("w"), Window{Limit: limit, Per: time.Hour}, 1)
					if err != nil {
						s.Error(err)
					}
					if got.Allowed {
						admitted.Add(1)
					}
				}
			})
		}
		work.Wait()
		if got := admitted.Load(); got != limit {
			s.Errorf("%d were admitted, want %d", got, limit)
		}
	})
}

// TestWindowWhenTheServersClockGoesBack: what was admitted later than now counts as
// admitted now.
func TestWindowWhenTheServersClockGoesBack(t *testing.T) {
	w := Window{Limit: 5, Per: time.Second}
	now := int64(time.Hour / time.Microsecond)
	later, _ := tally(nil).admit(w, 5, now+int64(time.Minute/time.Microsecond))
	if _, got := later.admit(w, 1, now); got.Allowed || got.RetryAfter > w.Per+w.Per/windowParts {
		t.Errorf("got %+v, want a refusal for a second", got)
	}

	server := hosttest.StartRedis(t)
	store := newRemoteRegistry(t, server, time.Second).Remote("p", wide)
	script := `redis.call('SET', 'ergo:p:w', 'w' .. struct.pack('>dI4', 1e15, 5)); return 1`
	if reply, err := server.Do("EVAL", script, "0"); err != nil || reply != ":1" {
		t.Fatal(reply, err)
	}
	got, err := store.Window(t.Context(), []byte("w"), w, 1)
	if err != nil || got.Allowed || got.RetryAfter > w.Per+w.Per/windowParts {
		t.Errorf("got %+v, %v, want a refusal for a second", got, err)
	}
}
