package engine

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
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
	id        uint64
	digest    string // of the manifest's bytes
	manifest  *manifest.Manifest
	text      []byte                      // of the manifest
	artifacts map[string]*policy.Artifact // by policy name
	since     atomic.Int64                // when it began to run, last; Unix nanoseconds

	tiers      []*tier.Tier // in the order that a request passes them
	upstreams  *upstream.Set
	forwarding exchange.Forwarding
	next       func(*ride) *exchange.Failure // what follows the last tier
	slots      []*slot
	fed        []fed  // keys that have a source
	parts      []Part // what it is made of, for status and history
	linked     bool   // requests come from edge hosts
	log        *slog.Logger

	lanes   []lane // of the exchanges in flight
	retired atomic.Bool
	repeats atomic.Int64  // requests that are being repeated in the background
	empty   chan struct{} // told when a retired generation may be empty

	expiry *time.Timer // ends what is left of a generation that no longer runs; guarded by Engine.mu
}

func newGeneration() *generation {
	return &generation{empty: make(chan struct{}, 1), lanes: make([]lane, runtime.GOMAXPROCS(0))}
}

// HasUpstream reports whether a route may name it. It is the same in every host
// of the manifest, whichever of them sends to it.
func (g *generation) HasUpstream(name string) bool {
	_, known := g.manifest.Upstreams[name]
	return known
}

// close lets go of everything the generation holds. No exchange is in flight.
func (g *generation) close(ctx context.Context, s *slots, f *springs) error {
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
	for _, of := range g.fed {
		of.key.Release()
		errs = append(errs, f.release(ctx, of.spring, s))
	}
	g.manifest.Close()
	return errors.Join(errs...)
}
