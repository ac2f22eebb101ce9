package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// waitFor waits for a condition.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// blocked is a policy whose guests stay in request_headers until release is closed.
func blocked(t *testing.T, instances int) (p *Policy, release chan struct{}, inside *atomic.Int32) {
	release, inside = make(chan struct{}), new(atomic.Int32)
	p = load(t, in("request_headers", func(*guest, []uint32) uint32 {
		inside.Add(1)
		<-release
		return 0
	}), func(s *policy.Spec) {
		s.Settings.Limits.Instances, s.Settings.Limits.Wait = instances, manifest.Duration(20*time.Millisecond)
	})
	return p, release, inside
}

// There is a vm for each callback that runs at once, up to the bound; beyond it
// exchanges queue for one.
func TestFleetGrowsWithLoad(t *testing.T) {
	p, release, inside := blocked(t, 3)
	var all sync.WaitGroup
	for n := range 5 {
		all.Go(func() {
			if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" {
				t.Errorf("got %+v", c)
			}
		})
		waitFor(t, "further guest", func() bool { return int(inside.Load()) == min(n+1, 3) })
	}
	if s := p.Stats(); s.Instances != 3 || s.Busy != 3 {
		t.Errorf("got %+v", s)
	}
	close(release)
	all.Wait()
	if s := p.Stats(); s.Instances != 3 || s.Busy != 0 || s.Created != 3 {
		t.Errorf("got %+v", s)
	}
}

// Nobody waits longer than the bound for a place in a full vm.
func TestOverload(t *testing.T) {
	p, release, _ := blocked(t, 1)
	p.mu.Lock()
	p.vms[0].load = maxStreams
	p.mu.Unlock()
	_, err := p.Acquire(newExchange("GET", "/"))
	wantKind(t, err, policy.Overload)
	if !errors.Is(err, wasm.ErrOverload) {
		t.Errorf("got %v", err)
	}
	x := newExchange("GET", "/")
	x.Life().End(context.Canceled)
	if _, err := p.Acquire(x); !errors.Is(err, context.Canceled) {
		t.Errorf("of a client that left: got %v", err)
	}
	waiting := make(chan error)
	p.limits.Wait = manifest.Duration(time.Minute)
	go func() {
		i, err := p.Acquire(newExchange("GET", "/"))
		if err == nil {
			p.Release(i)
		}
		waiting <- err
	}()
	waitFor(t, "one who waits", func() bool { return p.Stats().Waits == 3 })
	p.mu.Lock()
	p.vms[0].load = 1
	v := p.vms[0]
	p.mu.Unlock()
	p.unassign(v)
	if err := <-waiting; err != nil {
		t.Errorf("got %v", err)
	}
	close(release)
}

// With isolation, no two exchanges meet in a vm.
func TestIsolation(t *testing.T) {
	p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
		if mark, _ := g.mod.Memory().ReadUint32Le(64); mark != 0 {
			t.Error("another exchange was here")
		}
		g.mod.Memory().WriteUint32Le(64, 1)
		return 0
	}), func(s *policy.Spec) { s.Settings.Isolation = "exchange" })
	for range 3 {
		carry(p, newExchange("GET", "/"), "a")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { carry(p, newExchange("GET", "/"), "a") })
	}
	all.Wait()
	if s := p.Stats(); s.Busy != 0 {
		t.Errorf("got %+v", s)
	}
}

// What is not needed goes, but one; nothing that serves does.
func TestTrim(t *testing.T) {
	p, release, inside := blocked(t, 4)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() { carry(p, newExchange("GET", "/"), "a") })
		waitFor(t, "further guest", func() bool { return int(inside.Load()) == n+1 })
	}
	p.Trim()
	p.Trim()
	if s := p.Stats(); s.Instances != 4 {
		t.Errorf("busy: %+v", s)
	}
	close(release)
	all.Wait()
	p.Trim() // they were needed until now
	if s := p.Stats(); s.Instances != 4 {
		t.Errorf("just idle: %+v", s)
	}
	p.Trim()
	waitFor(t, "smaller fleet", func() bool { return p.Stats().Instances == 1 })
	if s := p.Stats(); s.Discarded != 0 {
		t.Errorf("got %+v", s)
	}
}

// A root context is taken to its end, with time to become done.
func TestRootContextEnds(t *testing.T) {
	var calls []string
	var mu sync.Mutex
	note := func(name string, answer uint32) func(*guest, []uint32) uint32 {
		return func(g *guest, args []uint32) uint32 {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, fmt.Sprint(name, args[0]))
			if name == "done" {
				g.call("proxy_set_tick_period_milliseconds", 1)
			}
			if name == "tick" {
				g.call("proxy_set_tick_period_milliseconds", 0)
				g.call("proxy_done")
			}
			return answer
		}
	}
	p, err := tryLoad(t, script{"done": note("done", 0), "delete": note("delete", 0), "tick": note("tick", 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(calls); got != "[done1 tick1 delete1]" {
		t.Errorf("got %s", got)
	}
}

// A close that runs out of time says so, and the last exchange ends what is left.
func TestCloseWhileBusy(t *testing.T) {
	p, err := tryLoad(t, script{})
	if err != nil {
		t.Fatal(err)
	}
	busy := p.(*Policy)
	i, err := busy.Acquire(newExchange("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := busy.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	busy.Release(i)
	waitFor(t, "end", func() bool { return busy.Stats().Instances == 0 })
	if _, err := busy.Acquire(newExchange("GET", "/")); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A service works without streams, and comes back after it was lost.
func TestService(t *testing.T) {
	ticks := make(chan struct{}, 100)
	var fails atomic.Bool
	p := loaded(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_set_tick_period_milliseconds", 1)
			return 1
		},
		"tick": func(*guest, []uint32) uint32 {
			if fails.Swap(false) {
				return trap
			}
			select {
			case ticks <- struct{}{}:
			default:
			}
			return 0
		},
		"context_create": func(_ *guest, args []uint32) uint32 {
			if args[1] != 0 {
				t.Error("a service has a stream")
			}
			return 0
		},
	}, func(s *policy.Spec) { s.Settings.ProxyWasm = &manifest.ProxyWasm{Service: true} })
	s := p.(*service)
	s.mu.Lock()
	s.pause = time.Millisecond
	s.mu.Unlock()
	if _, isHead := p.(policy.RequestHead); isHead {
		t.Error("a service has phases")
	}
	<-ticks
	fails.Store(true)
	waitFor(t, "loss", func() bool { return p.Stats().BackgroundFailures == 1 })
	waitFor(t, "new vm", func() bool { return p.Stats().Created == 2 })
	for len(ticks) > 0 {
		<-ticks
	}
	<-ticks
}

// A module without a stream's callbacks is a service, whatever its settings.
func TestModuleWithoutStreams(t *testing.T) {
	var s shapes
	s[onTick].exported = true
	if s.streams() {
		t.Error("ticks need no streams")
	}
	s[onLog].exported = true
	if !s.streams() {
		t.Error("a log needs streams")
	}
}

// Everything at once: streams that pause, answer, trap, spin and are given up,
// timers, queues, trims and statistics.
func TestHammer(t *testing.T) {
	p := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_set_tick_period_milliseconds", 1)
			g.call("proxy_register_shared_queue", "paused", out(0))
			return 1
		},
		"request_headers": func(g *guest, args []uint32) uint32 {
			path, _ := g.header(mapRequestHeaders, ":path")
			switch path {
			case "/pause":
				g.call("proxy_resolve_shared_queue", "", "paused", out(0))
				g.call("proxy_enqueue_shared_queue", g.number(0), le32(args[0]))
				return 1
			case "/answer":
				g.respond(403, "no")
			case "/trap":
				return trap
			}
			g.call("proxy_add_header_map_value", mapRequestHeaders, "seen", fmt.Sprint(args[0]))
			return 0
		},
		"request_body":     func(_ *guest, args []uint32) uint32 { return 1 - args[2] },
		"response_headers": func(*guest, []uint32) uint32 { return 0 },
		"tick": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_resolve_shared_queue", "", "paused", out(0))
			queue := g.number(0)
			for g.call("proxy_dequeue_shared_queue", queue, out(0), out(1)) == statusOK {
				item := g.result(0)
				id := uint32(item[0]) | uint32(item[1])<<8 | uint32(item[2])<<16 | uint32(item[3])<<24
				g.call("proxy_set_effective_context", id) // it may be in another vm, or gone
				g.call("proxy_continue_stream", request)
			}
			return 0
		},
	}, func(s *policy.Spec) { s.Settings.Limits.Instances = 3 })
	stop := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.Trim()
				p.Stats()
				time.Sleep(time.Millisecond)
			}
		}
	})
	paths := []string{"/", "/", "/pause", "/answer", "/trap"}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 60 {
				path := paths[rand.IntN(len(paths))]
				x := withBody(newExchange("POST", path), chunked("body")...)
				x.Life().Narrow(exchange.Clock() + 20*time.Millisecond)
				c := carry(p, x, "re", "ply")
				switch {
				case c.requestErr != nil || c.sentErr != nil || c.responseErr != nil || c.receivedErr != nil:
				case path == "/answer" && (c.verdict != policy.Answer || c.received != "no"), path == "/trap",
					path == "/" && (c.sent != "body" || c.received != "reply" || x.Request.Header.Len() != 1):
					t.Errorf("%s: %+v", path, c)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	aside.Wait()
	if s := p.Stats(); s.Busy != 0 || s.Instances > 3 || s.Discarded == 0 {
		t.Errorf("got %+v", s)
	}
}
