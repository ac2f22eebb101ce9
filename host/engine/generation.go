package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/upstream"
)

// Why an exchange of an old generation is ended.
var (
	errDrained  = errors.New("the generation's drain deadline has passed")
	errShutdown = errors.New("the host is shutting down")
)

// generation is one manifest, built whole. Nothing of it changes but its count
// of exchanges and, once, its end.
type generation struct {
	id       uint64
	digest   string // of the manifest's bytes
	manifest *manifest.Manifest
	since    time.Time

	tiers      []*tier.Tier // in the order that a request passes them
	upstreams  *upstream.Set
	forwarding exchange.Forwarding
	next       func(*generation, *exchange.Exchange) *exchange.Failure // what follows the last tier
	slots      []*slot
	parts      []Part // what it is made of, for status and history
	linked     bool   // requests come from edge hosts

	inFlight atomic.Int64
	retired  atomic.Bool
	empty    chan struct{} // told when a retired generation may be empty

	mu    sync.Mutex
	rides ride // ring of the exchanges that a drain deadline ends
}

func newGeneration() *generation {
	g := &generation{empty: make(chan struct{}, 1)}
	g.rides.prev, g.rides.next = &g.rides, &g.rides
	return g
}

// HasUpstream reports whether a route may name it.
func (g *generation) HasUpstream(name string) bool { return g.upstreams.HasUpstream(name) }

// unpin counts an exchange out.
func (g *generation) unpin() {
	if g.inFlight.Add(-1) == 0 && g.retired.Load() {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// board adds a ride to those that abort ends.
func (g *generation) board(r *ride) {
	g.mu.Lock()
	r.prev, r.next = g.rides.prev, &g.rides
	r.prev.next, r.next.prev = r, r
	g.mu.Unlock()
}

// alight takes a ride off again.
func (g *generation) alight(r *ride) {
	g.mu.Lock()
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
	g.mu.Unlock()
}

// abort ends the contexts of all exchanges in flight.
func (g *generation) abort(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r := g.rides.next; r != &g.rides; r = r.next {
		r.cancel(cause)
	}
}

// drain waits until no exchange is in flight; after the deadline (0: none) it
// ends those that are left and waits for them. The generation must be retired
// and no longer the running one.
func (g *generation) drain(deadline time.Duration) {
	var late <-chan time.Time
	if deadline > 0 {
		timer := time.NewTimer(deadline)
		defer timer.Stop()
		late = timer.C
	}
	for g.inFlight.Load() > 0 {
		select {
		case <-g.empty:
		case <-late:
			g.abort(errDrained)
			late = nil
		}
	}
}

// close lets go of everything the generation holds. No exchange is in flight.
func (g *generation) close(ctx context.Context, s *slots) {
	for _, t := range g.tiers {
		t.Close()
	}
	if g.upstreams != nil {
		g.upstreams.Close()
	}
	for _, slot := range g.slots {
		s.release(ctx, slot)
	}
}
