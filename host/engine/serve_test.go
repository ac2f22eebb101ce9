package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// brokenSink panics where the response is to be sent.
type brokenSink struct{ answer }

func (*brokenSink) Send(*exchange.Exchange) error { panic("told to panic") }

func TestPanicsReleaseEverything(t *testing.T) {
	for _, phase := range []string{"request", "response", "done", "send"} {
		t.Run(phase, func(t *testing.T) {
			b := newBench(t)
			b.swap(b.manifest(nil, nil, "keep_generations = 0"))
			b.get() // leaves a connection for the next one, and what carried it
			b.swap(b.manifest([]string{mark("outer"), mark("inner")}, []string{`{ mark = "x", panic = "` + phase + `" }`}, "keep_generations = 0"))
			var broken *exchange.Exchange
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic was lost: whoever serves must know")
					}
				}()
				b.get(func(x *exchange.Exchange) {
					broken = x
					if phase == "send" {
						x.Sink = &brokenSink{}
					}
				})
			}()
			// Whoever serves answers instead.
			broken.Fail(&exchange.Failure{Cause: exchange.CauseInternal, Status: 500})
			for _, up := range b.ups.Status() {
				if up.InFlight != 0 {
					t.Errorf("%d requests are still at the upstream", up.InFlight)
				}
			}
			s := b.e.Status()
			if s.Generation.InFlight != 0 {
				t.Errorf("%d exchanges are still counted", s.Generation.InFlight)
			}
			for _, tier := range s.Tiers {
				if n := tier.Status.Bulkhead.InFlight; n != 0 {
					t.Errorf("%d places of tier %s are still taken", n, tier.Name)
				}
			}
			for _, m := range b.loader.all() {
				if n := m.acquired.Load(); n != 0 {
					t.Errorf("%d instances of %s are still out", n, m.Mark)
				}
			}
			b.swap(b.manifest([]string{mark("next")}, nil, "keep_generations = 0"))
			eventually(t, "the old generation is closed", func() bool { return b.loader.open() == 1 })
			if got := b.get().status; got != 200 {
				t.Errorf("the next exchange got %d", got)
			}
		})
	}
}

func TestPanicDoesNotEndOtherExchanges(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	b.loader.gates["g"] = gate
	b.swap(b.manifest([]string{`{ mark = "old", gate = "g" }`}, []string{`{ mark = "x", panic = "done" }`}))
	ended := make(chan any)
	for range 4 {
		go func() {
			defer func() { ended <- recover() }()
			b.get()
		}()
	}
	eventually(t, "all are inside", func() bool { return b.e.Status().Generation.InFlight == 4 })
	close(gate)
	for range 4 {
		if got := <-ended; got != "told to panic" {
			t.Errorf("got %v, want the policy's panic alone", got)
		}
	}
	if n := b.e.Status().Generation.InFlight; n != 0 {
		t.Errorf("%d exchanges are still counted", n)
	}
	if err := b.e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestDrainedExchangeIsNobodysFault(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil))
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan *answer)
	go func() { done <- b.get(func(x *exchange.Exchange) { x.Sink = held }) }()
	<-held.sending
	b.swap(b.manifest([]string{mark("new")}, nil, `drain_timeout = "1ms"`))
	f := (<-done).x.Failure
	if f == nil || f.Cause != exchange.CauseTimeout || !errors.Is(f, errDrained) {
		t.Errorf("got %+v, want the drain deadline as its cause", f)
	}
}

func TestCloseIsBounded(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	b.loader.gates["g"] = gate
	b.swap(b.manifest([]string{`{ mark = "a", gate = "g" }`}, nil)) // a policy that ignores its context
	done := make(chan struct{})
	go func() { b.get(); close(done) }()
	eventually(t, "the exchange is inside", func() bool { return b.e.Status().Generation.InFlight == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := b.e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "do not end") {
		t.Errorf("got %v, want that exchanges do not end", err)
	}
	close(gate)
	<-done
	eventually(t, "the generation closes after all", func() bool { return b.loader.open() == 0 })
}

// TestFallbacks has an exchange go where somebody can take it.
func TestFallbacks(t *testing.T) {
	b := newBench(t)
	b.write("nobody.toml", "endpoints = []\n")
	from := b.manifest(nil, nil)
	from.Data = append(from.Data, `
[upstream.nobody]
discovery = { file = "nobody.toml" }
[upstream.spare]
endpoints = ["ergo:echo"]
`...)
	b.swap(from)
	cases := []struct {
		upstream  string
		fallbacks []string
		want      string
		status    int
	}{
		{"origin", []string{"spare"}, "origin", 200},
		{"nobody", []string{"spare"}, "spare", 200},
		{"nobody", []string{"gone", "nobody", "spare", "origin"}, "spare", 200},
		{"nobody", []string{"nobody"}, "nobody", 503},
		{"nobody", nil, "nobody", 503},
	}
	for _, c := range cases {
		var routed *exchange.Exchange
		a := b.get(func(x *exchange.Exchange) {
			x.Route.Upstream = c.upstream
			copy(x.Route.Fallbacks[:], c.fallbacks)
			routed = x
		})
		if a.status != c.status || routed.Route.Upstream != c.want {
			t.Errorf("%s, else %q: got %d from %s, want %d from %s", c.upstream, c.fallbacks, a.status, routed.Route.Upstream, c.status, c.want)
		}
	}
}
