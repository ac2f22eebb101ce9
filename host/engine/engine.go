// Package engine runs generations: it builds one from a manifest, makes it the
// running one by moving a pointer, carries exchanges through it, drains the
// one before and rolls back.
//
// serve.go is the life of an exchange, build.go how a generation comes to be,
// swap.go how one takes over, drain.go how one ends.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/engine/disk"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream"
)

// Mode says which tiers this process runs.
type Mode string

// The modes: both tiers in one process, or one of them with the other
// elsewhere.
const (
	Both    Mode = "both"
	Edge    Mode = "edge"
	Service Mode = "service"
)

// Options are the parts an engine is put together from. All but Grant,
// Listeners and Telemetry are required.
type Options struct {
	Mode    Mode
	Loaders map[string]policy.Loader // by the ABI that policy.toml names
	Grants  []string                 // capabilities that a manifest may grant
	// Grant makes what a policy's grants come to; its Granted is not set yet.
	// Default: what every policy has.
	Grant func(policy.Spec) *policy.Granted

	Upstreams *upstream.Registry
	Listeners Listeners // nil: listeners are not the engine's business (check, tests)
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger
}

// metrics are nil without telemetry.
func (o *Options) metrics() *telemetry.Metrics {
	if o.Telemetry == nil {
		return nil
	}
	return o.Telemetry.Metrics
}

// Engine carries exchanges through the running generation. Its methods are safe
// for concurrent use; swaps follow one another.
type Engine struct {
	opts    Options
	current atomic.Pointer[generation]
	closed  atomic.Bool

	turn chan struct{} // full through a whole swap, rollback or check; guards disk and lastID
	// changing is closed when that is over; nil while nobody has the turn.
	changing atomic.Pointer[chan struct{}]
	disk     *disk.Disk // nil before the first swap
	lastID   uint64     // of the newest generation
	slots    slots
	springs  springs
	history  disk.History

	rides sync.Pool     // of *ride
	seats atomic.Uint32 // given to rides

	mu       sync.Mutex
	stack    []*generation // those a rollback can reach, the running one last
	archived []uint64      // ids of those that are on disk, ascending
	draining map[*generation]struct{}
	retirers sync.WaitGroup
}

// ErrClosed says that the engine was closed.
var ErrClosed = errors.New("the engine is closed")

// New returns an engine without a generation: Swap gives it the first one
// before Serve is called.
func New(opts Options) *Engine {
	if opts.Grant == nil {
		opts.Grant = func(spec policy.Spec) *policy.Granted {
			return &policy.Granted{Policy: spec.Name, Metrics: opts.metrics().Guest(spec.Name, spec.Artifact.File.Version)}
		}
	}
	e := &Engine{opts: opts, turn: make(chan struct{}, 1), draining: map[*generation]struct{}{}}
	e.rides.New = func() any { return &ride{seat: e.seats.Add(1)} }
	return e
}

// takeTurn waits until nobody swaps, rolls back or checks any more. Unless it
// returns an error, giveTurn follows.
func (e *Engine) takeTurn(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}: // also for who is late, such as a Close
	default:
		select {
		case e.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("wait for another swap to end: %w", context.Cause(ctx))
		}
	}
	if e.closed.Load() {
		e.giveTurn()
		return ErrClosed
	}
	changing := make(chan struct{})
	e.changing.Store(&changing)
	return nil
}

func (e *Engine) giveTurn() {
	if changing := e.changing.Swap(nil); changing != nil {
		close(*changing)
	}
	<-e.turn
}

// Ready reports whether there is a generation to carry exchanges.
func (e *Engine) Ready() bool { return e.current.Load() != nil && !e.closed.Load() }

// Manifest returns the running generation's manifest, nil before the first swap.
func (e *Engine) Manifest() *manifest.Manifest {
	if g := e.current.Load(); g != nil {
		return g.manifest
	}
	return nil
}

// pin gives a ride its place in the running generation.
func (e *Engine) pin(r *ride) {
	for {
		r.g = e.current.Load()
		ended := r.g.board(r)
		if e.current.Load() == r.g {
			if ended != nil {
				r.life.End(ended) // it got in at the last moment
			}
			return
		}
		r.g.alight(r) // it may be retired already
	}
}

// abortGrace is how long exchanges may take to end once they were told to.
const abortGrace = 2 * time.Second

// Close ends all generations once their exchanges have ended; at ctx's end it
// ends the exchanges. No exchange may begin any more. What is still in use after
// that stays as it is, and the error says so. Closing again does nothing.
func (e *Engine) Close(ctx context.Context) error {
	if err := e.takeTurn(ctx); errors.Is(err, ErrClosed) {
		return nil
	} else if err != nil {
		return fmt.Errorf("close engine: %w", err)
	}
	defer e.giveTurn()
	e.closed.Store(true)
	e.mu.Lock()
	remaining := e.stack
	e.stack = nil
	e.mu.Unlock()
	for _, g := range remaining {
		e.retire(g)
	}
	return errors.Join(e.awaitRetirers(ctx), e.closeDisk())
}

// awaitRetirers waits until all generations are closed.
func (e *Engine) awaitRetirers(ctx context.Context) error {
	done := make(chan struct{})
	go func() { e.retirers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	e.abortDraining()
	grace := time.NewTimer(abortGrace)
	defer grace.Stop()
	select {
	case <-done:
		return fmt.Errorf("close engine: exchanges were ended: %w", context.Cause(ctx))
	case <-grace.C:
		return fmt.Errorf("close engine: exchanges do not end: %w", context.Cause(ctx))
	}
}

// abortDraining ends the exchanges of all generations that are on their way out.
func (e *Engine) abortDraining() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for g := range e.draining {
		g.abort(errShutdown)
	}
}
