package upstream

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func TestConnectionsAreBounded(t *testing.T) {
	now, most := new(atomic.Int32), new(atomic.Int32)
	s, conns := counted(t, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
		io.WriteString(w, "ok")
	})
	up := settings(s.URL)
	up.Connections.Max = 3
	set := build(t, registry(t), up)
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			for range 10 {
				x := ask("GET", "/", "")
				if f := set.Forward(x, "up"); f != nil {
					t.Errorf("got %v", f)
					return
				}
				io.Copy(io.Discard, x.Response.Body)
				x.Response.Body.Close()
			}
		})
	}
	group.Wait()
	if most.Load() > 3 || conns.Load() != 3 {
		t.Errorf("got %d requests at once over %d connections, want 3 and 3", most.Load(), conns.Load())
	}
}

// occupied makes a set whose only connection is in use until release is called.
func occupied(t *testing.T, change func(*manifest.Upstream)) (set *Set, release func()) {
	t.Helper()
	block := make(chan struct{})
	arrived := make(chan struct{}, 100)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-block
	})
	up := settings(s.URL)
	up.Connections.Max = 1
	change(&up)
	set = build(t, registry(t), up)
	release = sync.OnceFunc(func() { close(block) })
	t.Cleanup(release)
	go set.Forward(ask("GET", "/", ""), "up")
	<-arrived
	return set, release
}

func TestWaitingForAConnectionIsBounded(t *testing.T) {
	set, release := occupied(t, func(up *manifest.Upstream) { up.Breaker.MaxPending = 2 })
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if f := set.Forward(ask("GET", "/", ""), "up"); f != nil {
				t.Errorf("one that waited: %v", f)
			}
		})
	}
	pending := &set.pools["up"].shared.breaker.pending
	eventually(t, "two waiting", func() bool { return pending.Load() == 2 })
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseOverload || f.Status != 503 {
		t.Errorf("third: got %v, want overload", f)
	}
	release()
	group.Wait()
	if got := pending.Load(); got != 0 {
		t.Errorf("pending at the end: got %d", got)
	}
	if got := set.registry.Status()[0]; got.Failed != 0 {
		t.Errorf("the endpoint was blamed for our bound: %+v", got)
	}
}

func TestWaitingForAConnectionEndsInTime(t *testing.T) {
	set, _ := occupied(t, func(up *manifest.Upstream) {})
	x := ask("GET", "/", "")
	x.Route.Timeout = 50 * time.Millisecond
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseTimeout {
		t.Errorf("got %v, want a timeout", f)
	}
	x = ask("GET", "/", "")
	ctx, cancel := context.WithCancel(context.Background())
	x.SetContext(ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseClient {
		t.Errorf("got %v, want the client's leave", f)
	}
	if got := set.pools["up"].shared.breaker.pending.Load(); got != 0 {
		t.Errorf("pending at the end: got %d", got)
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	set, release := occupied(t, func(up *manifest.Upstream) { up.Breaker.MaxRequests = 1 })
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseOverload || f.RetryAfter == 0 {
		t.Errorf("got %v, want overload with Retry-After", f)
	}
	release()
	eventually(t, "room", func() bool { return set.Forward(ask("GET", "/", ""), "up") == nil })
}

// One connection carries many requests at once; those above the endpoint's
// limit of streams wait or get another connection.
func TestHTTP2SharesConnections(t *testing.T) {
	for name, c := range map[string]struct{ streams, max, conns int }{
		"one connection is enough":      {250, 8, 1},
		"more when streams run out":     {10, 8, 8},
		"wait when connections run out": {10, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, conns := countedHTTP2(t, c.streams, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(5 * time.Millisecond)
				io.WriteString(w, "ok")
			})
			up := settings(s)
			up.Protocol, up.Connections.Max = "h2", c.max
			set := build(t, registry(t), up)
			get(t, set, "/") // learns the limit of streams
			var group sync.WaitGroup
			for range 40 {
				group.Go(func() {
					for range 5 {
						x := ask("GET", "/", "")
						if f := set.Forward(x, "up"); f != nil {
							t.Errorf("got %v", f)
							return
						}
						io.Copy(io.Discard, x.Response.Body)
						x.Response.Body.Close()
					}
				})
			}
			group.Wait()
			if got := int(conns.Load()); got > c.conns || c.streams < 40 && got < 2 {
				t.Errorf("got %d connections, want at most %d and no fewer than are needed", got, c.conns)
			}
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	for _, multi := range []bool{false, true} {
		closed := make(chan struct{}, 10)
		s, up := stateful(t, multi, closed)
		up.Connections.IdleTimeout = manifest.Duration(10 * time.Millisecond)
		set := build(t, registry(t), up)
		get(t, set, "/")
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("http2=%v: still open", multi)
		}
		get(t, set, "/") // and another is made
		s.Close()
	}
}

func TestOldConnectionsAreReplaced(t *testing.T) {
	for _, multi := range []bool{false, true} {
		closed := make(chan struct{}, 10)
		_, up := stateful(t, multi, closed)
		up.Connections.MaxAge = manifest.Duration(50 * time.Millisecond)
		set := build(t, registry(t), up)
		eventually(t, "replacement", func() bool {
			get(t, set, "/")
			return len(closed) > 0
		})
	}
}

func TestSurplusIdleConnectionsAreClosed(t *testing.T) {
	var barrier sync.WaitGroup
	barrier.Add(4)
	closed := make(chan struct{}, 10)
	s, up := stateful(t, false, closed)
	s.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		barrier.Done()
		barrier.Wait()
	})
	up.Connections.Idle = 1
	set := build(t, registry(t), up)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if f := set.Forward(ask("GET", "/", ""), "up"); f != nil {
				t.Error(f)
			}
		})
	}
	group.Wait()
	for range 3 {
		<-closed
	}
}

// Set.Close closes what is idle at once and what is busy at its end.
func TestCloseDrains(t *testing.T) {
	for _, multi := range []bool{false, true} {
		closed := make(chan struct{}, 10)
		s, up := stateful(t, multi, closed)
		finish := make(chan struct{})
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-finish
			io.WriteString(w, "whole")
		})
		set := build(t, registry(t), up)
		x := ask("GET", "/", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		set.Close()
		if len(closed) != 0 {
			t.Errorf("http2=%v: closed under an exchange", multi)
		}
		close(finish)
		if got := read(t, x); got != "whole" {
			t.Errorf("http2=%v: got %q", multi, got)
		}
		<-closed
		if f := set.Forward(ask("GET", "/", ""), "up"); f == nil {
			t.Errorf("http2=%v: a closed set forwards", multi)
		}
	}
}
