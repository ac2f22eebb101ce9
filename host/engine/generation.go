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
	since    atomic.Int64 // when it began to run, last; Unix nanoseconds

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

	expiry *time.Timer // ends what is left of a generation that no longer runs; guarded by Engine.mu

	mu    sync.Mutex
	rides ride  // ring of the exchanges that a drain deadline ends
	ended error // why exchanges are ended; nil: they are not
}

func newGeneration() *generation {
	g := &generation{empty: make(chan struct{}, 1)}
	g.rides.prev, g.rides.next = &g.rides, &g.rides
	return g
}

// HasUpstream reports whether a route may name it. It is the same in every host
// of the manifest, whichever of them sends to it.
func (g *generation) HasUpstream(name string) bool {
	_, known := g.manifest.Upstreams[name]
	return known
}

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
	defer g.mu.Unlock()
	r.prev, r.next = g.rides.prev, &g.rides
	r.prev.next, r.next.prev = r, r
	if g.ended != nil {
		r.cancel(g.ended) // it got in at the last moment
	}
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
	g.ended = cause
	for r := g.rides.next; r != &g.rides; r = r.next {
		r.cancel(cause)
	}
}

// revive takes the end of exchanges back, for a generation that runs again.
func (g *generation) revive() {
	g.mu.Lock()
	g.ended = nil
	g.mu.Unlock()
}

// close lets go of everything the generation holds. No exchange is in flight.
func (g *generation) close(ctx context.Context, s *slots) error {
	for _, t := range g.tiers {
		t.Close()
	}
	if g.upstreams != nil {
		g.upstreams.Close()
	}
	var errs []error
	for _, slot := range g.slots {
		errs = append(errs, s.release(ctx, slot))
	}
	return errors.Join(errs...)
}
