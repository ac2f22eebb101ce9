package proxywasm

import (
	"errors"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

var errGone = errors.New("the store is gone")

// lacks has the callback under way fail for want of something, as a capability
// does whose server is down.
func (g *guest) lacks() { wasm.CallOf(g.ctx).Fail(errGone) }

// wantSpared checks that an exchange failed for want of something, and that its
// instance and what else is in it live on.
func wantSpared(t *testing.T, p *Policy, v *vm, err error) {
	t.Helper()
	wantKind(t, err, policy.Overload)
	if !errors.Is(err, errGone) {
		t.Errorf("got %v, want the reason", err)
	}
	if p.vms[0] != v || v.isDead() {
		t.Error("the instance was given up")
	}
}

// What a guest needs and does not get fails the exchange that needed it, in
// whatever callback; the guest is not to blame, and neither are its other streams.
func TestWantOfSomethingSparesTheInstance(t *testing.T) {
	for _, callback := range []string{"context_create", "request_headers", "response_headers"} {
		var lacking bool
		p := load(t, in(callback, func(g *guest, args []uint32) uint32 {
			if lacking && args[0] != rootID {
				g.lacks()
			}
			return 0
		}))
		v := p.vms[0]
		lacking = true
		c := carry(p, newExchange("GET", "/"))
		wantSpared(t, p, v, errors.Join(c.requestErr, c.responseErr))
		lacking = false
		if c := carry(p, newExchange("GET", "/")); c.requestErr != nil || c.responseErr != nil {
			t.Errorf("%s: the next exchange: %+v", callback, c)
		}
		if len(v.streams) != 0 || len(v.ending) != 0 {
			t.Errorf("%s: %d streams are left, %d ending", callback, len(v.streams), len(v.ending))
		}
	}
}

// A stream comes to its end whatever the guest lacks: its context is deleted.
func TestWantOfSomethingAtTheEndLeavesNoContext(t *testing.T) {
	for _, callback := range []string{"done", "log", "delete"} {
		deleted := 0
		s := in(callback, func(g *guest, args []uint32) uint32 {
			if args[0] != rootID {
				g.lacks()
			}
			return 1
		})
		inner := s["delete"]
		s["delete"] = func(g *guest, args []uint32) uint32 {
			deleted++
			if inner != nil {
				inner(g, args)
			}
			return 0
		}
		p := load(t, s)
		v := p.vms[0]
		for range 3 {
			if c := carry(p, newExchange("GET", "/")); c.requestErr != nil || c.responseErr != nil {
				t.Errorf("%s: got %+v", callback, c)
			}
		}
		if deleted != 3 || len(v.streams) != 0 || len(v.ending) != 0 || v.isDead() {
			t.Errorf("%s: %d contexts were deleted, %d are left, %d ending; instance lost: %t", callback, deleted, len(v.streams), len(v.ending), v.isDead())
		}
	}
}

// A stream that waits is failed by a callback of the root that lacks something on
// its behalf; others wait on.
func TestWantOfSomethingForAStreamThatWaits(t *testing.T) {
	var (
		mu     sync.Mutex
		lacks  uint32
		resume uint32
	)
	p := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_set_tick_period_milliseconds", 1)
			return 1
		},
		"request_headers": func(g *guest, args []uint32) uint32 {
			mu.Lock()
			defer mu.Unlock()
			if path, _ := g.header(mapRequestHeaders, ":path"); path == "/lacks" {
				lacks = args[0]
			} else {
				resume = args[0]
			}
			return uint32(actionPause)
		},
		"tick": func(g *guest, _ []uint32) uint32 {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case lacks != 0 && resume != 0:
				g.call("proxy_set_effective_context", lacks)
				g.lacks()
				g.call("proxy_continue_stream", request) // for all that
				lacks = 0
			case resume != 0 && lacks == 0:
				g.call("proxy_set_effective_context", resume)
				g.call("proxy_continue_stream", request)
			}
			return 0
		},
	}, func(s *policy.Spec) { s.Settings.Limits.Instances = 1 })
	v := p.vms[0]
	var both sync.WaitGroup
	both.Go(func() {
		c := carry(p, newExchange("GET", "/lacks"))
		wantSpared(t, p, v, c.requestErr)
	})
	both.Go(func() {
		if c := carry(p, newExchange("GET", "/other")); c.requestErr != nil || c.responseErr != nil {
			t.Errorf("the other stream: %+v", c)
		}
	})
	both.Wait()
}
