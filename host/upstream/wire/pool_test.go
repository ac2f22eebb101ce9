package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// newTestPool makes a pool of connections to a server that only accepts.
func newTestPool(t *testing.T, protocol string, limits manifest.Connections) (*pool, *Room) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	limits.ConnectTimeout = manifest.Duration(10 * time.Second)
	c, err := New(Settings{Scheme: "http", Host: l.Addr().String(), Protocol: protocol, Limits: limits}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.conns, &Room{Count: new(atomic.Int64), Max: 100, Waited: func(time.Duration) {}}
}

// patient waits until a context ends.
type patient struct{ ctx context.Context }

func (p patient) Context() context.Context { return p.ctx }

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in time", what)
		}
	}
}

// What is granted to a request that has just given up goes to the next one.
func TestAbandonPassesOnWhatWasGranted(t *testing.T) {
	for _, protocol := range []string{"h1", "h2"} {
		p, r := newTestPool(t, protocol, manifest.Connections{Max: 1, Idle: 1})
		first, _, err := p.take(r)
		if first == nil {
			t.Fatalf("%s: got no place among the waiters: %v", protocol, err)
		}
		until(t, "grant", func() bool { return len(first.ready) == 1 })
		second := make(chan *conn)
		go func() {
			c, err := p.acquire(patient{context.Background()}, r, true)
			if err != nil {
				t.Error(err)
			}
			second <- c
		}()
		if protocol == "h1" {
			until(t, "second waiter", func() bool { return r.Count.Load() == 2 })
		}
		p.abandon(first)
		if c := <-second; c == nil {
			t.Errorf("%s: the connection was lost", protocol)
		}
		p.mu.Lock()
		if p.open != 1 || p.dialing != 0 || len(p.waiters) != 0 {
			t.Errorf("%s: got %d open, %d being made, %d waiting", protocol, p.open, p.dialing, len(p.waiters))
		}
		p.mu.Unlock()
	}
}

func TestAbandonInTheQueue(t *testing.T) {
	p, r := newTestPool(t, "h1", manifest.Connections{Max: 1, Idle: 1})
	c, err := p.acquire(patient{context.Background()}, r, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(ErrTimeout) })
	if _, err := p.acquire(patient{ctx}, r, true); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want the reason", err)
	}
	if r.Count.Load() != 0 || len(p.waiters) != 0 {
		t.Errorf("got %d in the room and %d waiting, want none", r.Count.Load(), len(p.waiters))
	}
	c.close()
}

func TestCloseEndsWaits(t *testing.T) {
	p, r := newTestPool(t, "h1", manifest.Connections{Max: 1, Idle: 1})
	c, err := p.acquire(patient{context.Background()}, r, true)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := p.acquire(patient{context.Background()}, r, true)
		ended <- err
	}()
	until(t, "waiter", func() bool { return r.Count.Load() == 1 })
	p.close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Errorf("got %v, want errClosed", err)
	}
	if _, err := p.acquire(patient{context.Background()}, r, true); !errors.Is(err, errClosed) {
		t.Errorf("afterwards: got %v, want errClosed", err)
	}
	c.finish(true)
	until(t, "end of the last connection", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.open == 0
	})
}

// A connection that closes while requests wait makes room for another.
func TestClosedConnectionIsReplacedForThoseWhoWait(t *testing.T) {
	p, r := newTestPool(t, "h1", manifest.Connections{Max: 1, Idle: 1})
	c, err := p.acquire(patient{context.Background()}, r, true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *conn)
	go func() {
		c, _ := p.acquire(patient{context.Background()}, r, true)
		got <- c
	}()
	until(t, "waiter", func() bool { return r.Count.Load() == 1 })
	c.close()
	if next := <-got; next == nil || next == c {
		t.Errorf("got %p, want another connection than %p", next, c)
	}
}

// A connection that was waited for is looked at like one that was idle.
func TestGrantedConnectionIsLookedAt(t *testing.T) {
	say, said := make(chan struct{}), make(chan struct{})
	client := endpoint(t, func(conn net.Conn, n int) {
		if n == 0 {
			<-say
			io.WriteString(conn, okAnswer)
			close(said)
		}
		io.Copy(io.Discard, conn)
	})
	p, r := client.conns, room()
	p.limits.Max = 1
	first, err := p.acquire(patient{context.Background()}, r, false)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *conn, 1)
	go func() {
		c, err := p.acquire(patient{context.Background()}, r, false)
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	until(t, "waiter", func() bool { return r.Count.Load() == 1 })
	close(say)
	<-said
	until(t, "bytes", func() bool { return !first.single.Quiet() })
	first.finish(true)
	second := <-got
	if second == first {
		t.Error("got the connection that has an answer to nobody")
	}
	second.finish(true)
	if r.Count.Load() != 0 {
		t.Errorf("got %d in the room, want none", r.Count.Load())
	}
}
