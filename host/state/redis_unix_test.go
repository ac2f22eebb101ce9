//go:build unix

package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// load has several goroutines add to a counter, until the test ends.
type load struct {
	done, unavailable, other atomic.Int64
	slowest                  atomic.Int64 // a time.Duration
}

func (l *load) begin(t *testing.T, s *Store) {
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for ctx.Err() == nil {
				l.one(s)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		work.Wait()
	})
}

func (l *load) one(s *Store) {
	begun := time.Now()
	_, err := s.Add(context.Background(), []byte("n"), 1, 0)
	took := int64(time.Since(begun))
	for slowest := l.slowest.Load(); took > slowest && !l.slowest.CompareAndSwap(slowest, took); {
		slowest = l.slowest.Load()
	}
	switch {
	case err == nil:
		l.done.Add(1)
	case errors.Is(err, ErrUnavailable):
		l.unavailable.Add(1)
	default:
		l.other.Add(1)
	}
}

// goesOn waits until operations succeed, or until they are refused.
func (l *load) goesOn(t *testing.T, counter *atomic.Int64, what string) {
	t.Helper()
	before := counter.Load()
	hosttest.Eventually(t, func() bool { return counter.Load() > before+50 }, what)
}

// A server that hangs, dies and comes back under load costs each caller a bounded
// wait, most of them none, and is used again without a restart of ours.
func TestRedisGoes(t *testing.T) {
	const timeout = 100 * time.Millisecond
	server := hosttest.StartRedis(t)
	log := new(hosttest.Buffer)
	r := NewRegistry(Options{
		Redis: &RedisOptions{Address: server.Address, Timeout: timeout, Connections: 4, Prefix: "ergo"},
		Log:   slog.New(slog.NewTextHandler(log, nil)),
	})
	t.Cleanup(func() { _ = r.Close() })
	var l load
	l.begin(t, r.Remote("p", wide))
	for _, round := range []struct {
		name      string
		end, mend func()
	}{
		{"hangs", func() { server.Signal(syscall.SIGSTOP) }, func() { server.Signal(syscall.SIGCONT) }},
		{"dies", server.Kill, server.Start},
		{"hangs, then dies", func() { server.Signal(syscall.SIGSTOP); server.Kill() }, server.Start},
	} {
		l.goesOn(t, &l.done, "operations succeed before it "+round.name)
		round.end()
		l.goesOn(t, &l.unavailable, "operations are refused after it "+round.name)
		if stats := r.Stats(); !stats.Remote || !stats.RemoteDown {
			t.Errorf("%s: got %+v, want it down", round.name, stats)
		}
		round.mend()
		l.goesOn(t, &l.done, "operations succeed after it "+round.name)
	}
	if got := l.other.Load(); got != 0 {
		t.Errorf("%d operations returned another error", got)
	}
	// A loaded machine may be late, but not for as long as a client that waits.
	if got, most := time.Duration(l.slowest.Load()), timeout+2*time.Second; got > most {
		t.Errorf("an operation took %v, want %v at most", got, most)
	}
	if got := strings.Count(log.String(), "shared state is not available"); got < 3 || got > 100 {
		t.Errorf("it was logged %d times that the server is gone, want 3 and hardly more:\n%s", got, log)
	}
	t.Logf("%d done, %d refused, slowest %v", l.done.Load(), l.unavailable.Load(), time.Duration(l.slowest.Load()))
}

// The caller's end ends its wait, and says nothing about the server.
func TestRedisWaitEndsWithTheCaller(t *testing.T) {
	server := hosttest.StartRedis(t)
	r := newRemoteRegistry(t, server, time.Minute)
	s := r.Remote("p", wide)
	if _, err := s.Add(t.Context(), []byte("n"), 1, 0); err != nil {
		t.Fatal(err)
	}
	server.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { server.Signal(syscall.SIGCONT) })
	for range breakerFailures + 1 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		begun := time.Now()
		_, err := s.Add(ctx, []byte("n"), 1, 0)
		cancel()
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it waited for %v", took)
		}
	}
	if r.Stats().RemoteDown {
		t.Error("callers that ended opened the breaker")
	}
}

func TestRedisRefuses(t *testing.T) {
	server := hosttest.StartRedis(t)
	r := newRemoteRegistry(t, server, time.Second)
	s := r.Remote("p", wide)
	do := func(command ...string) {
		t.Helper()
		if reply, err := server.Do(command...); err != nil || strings.HasPrefix(reply, "-") {
			t.Fatalf("%v: %s, %v", command, reply, err)
		}
	}
	do("CONFIG", "SET", "maxmemory", "1")
	if _, err := s.Set(t.Context(), []byte("k"), []byte("v"), 0); !errors.Is(err, ErrFull) {
		t.Errorf("out of memory: got %v, want ErrFull", err)
	}
	do("CONFIG", "SET", "maxmemory", "0")
	do("SET", "ergo:p:short", "v")
	if _, _, err := s.Get(t.Context(), []byte("short")); !errors.Is(err, ErrKind) {
		t.Errorf("a value that is not ours: got %v, want ErrKind", err)
	}
	do("CONFIG", "SET", "requirepass", "secret")
	other := newRemoteRegistry(t, server, time.Second)
	if _, err := other.Remote("p", wide).Add(t.Context(), []byte("n"), 1, 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without the password: got %v, want ErrUnavailable", err)
	}
	knows := NewRegistry(Options{Redis: &RedisOptions{
		Address: server.Address, Password: "secret", Database: 3, Timeout: time.Second, Connections: 1, Prefix: "x",
	}})
	if sum, err := knows.Remote("p", wide).Add(t.Context(), []byte("n"), 1, 0); sum != 1 || err != nil {
		t.Errorf("with the password: got %d, %v", sum, err)
	}
	if err := knows.Close(); err != nil {
		t.Error(err)
	}
	got := r.Stats().Policies
	if want := (PolicyStats{Policy: "p", Store: "shared", Full: 1}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWithoutRedis(t *testing.T) {
	r := NewRegistry(Options{})
	if _, err := r.Remote("p", wide).Add(t.Context(), []byte("n"), 1, 0); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errNoServer) {
		t.Errorf("got %v, want %v", err, errNoServer)
	}
	if got := r.Stats(); got.Remote || got.RemoteDown || got.Policies[0].Unavailable != 1 {
		t.Errorf("got %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkRedis(b *testing.B) {
	server := hosttest.StartRedis(b)
	s := newRemoteRegistry(b, server, time.Second).Remote("p", wide)
	bucket := Bucket{Tokens: 1e6, Per: time.Second, Burst: 1e6}
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Add(b.Context(), []byte("n"), 1, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("take", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, err := s.Take(b.Context(), fmt.Append(nil, n%1024), bucket, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("window", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, err := s.Window(b.Context(), fmt.Append(nil, "w", n%1024), Window{Limit: 1e6, Per: time.Second}, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A server whose clock is behind that of whoever served a bucket last gives tokens
// back all the same, from now on.
func TestBucketWhenTheServersClockGoesBack(t *testing.T) {
	server := hosttest.StartRedis(t)
	s := newRemoteRegistry(t, server, time.Second).Remote("p", wide)
	b := Bucket{Tokens: 1, Per: 20 * time.Millisecond, Burst: 1}
	take := func() Taken {
		taken, err := s.Take(t.Context(), []byte("b"), b, 1)
		if err != nil {
			t.Fatal(err)
		}
		return taken
	}
	if !take().Allowed {
		t.Fatal("a full bucket gives no token")
	}
	ahead := strconv.FormatInt(time.Now().Add(time.Hour).UnixMicro(), 10)
	for _, command := range [][]string{{"HSET", "ergo:p:b", "tokens", "0", "at", ahead}, {"PERSIST", "ergo:p:b"}} {
		if _, err := server.Do(command...); err != nil {
			t.Fatal(err)
		}
	}
	hosttest.Eventually(t, func() bool { return take().Allowed }, "a token comes back")
}

// replied is an error reply of a server.
type replied string

func (r replied) Error() string { return string(r) }
func (replied) RedisError()     {}

// Servers before Redis 7 tell where in a script it happened before they tell what. A
// guest that uses a key as what it is not must not make the store look gone.
func TestMeaningOfRepliesFromScripts(t *testing.T) {
	const where = "ERR Error running script (call to f_0123): @user_script:4: "
	for reply, want := range map[replied]error{
		"WRONGTYPE Operation against a key":                      ErrKind,
		where + "WRONGTYPE Operation against a key":              ErrKind,
		where + "ERR value is not an integer or out of range":    ErrKind,
		where + "ERR increment or decrement would overflow":      ErrOverflow,
		where + "OOM command not allowed when used memory > 'x'": ErrFull,
		"LOADING Redis is loading the dataset in memory":         ErrUnavailable,
	} {
		if got := meaning(reply); !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", reply, got, want)
		}
	}
}
