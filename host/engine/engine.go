// Package engine runs generations: it builds one from a manifest, makes it the
// running one by moving a pointer, carries exchanges through it, drains the
// one before and rolls back.
//
// serve.go is the life of an exchange, build.go how a generation comes to be,
// swap.go how one takes over.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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

// Listeners are where exchanges come from; the server implements it.
type Listeners interface {
	// Prepare binds and loads what is new and touches nothing that runs.
	Prepare([]manifest.Listener) (ListenerChange, error)
}

// ListenerChange is a prepared change of listeners: exactly one of its methods
// is called, once.
type ListenerChange interface {
	Commit()
	Abort()
}

// Options are the parts an engine is put together from. All but Listeners and
// Telemetry are required.
type Options struct {
	Mode      Mode
	Loaders   map[string]policy.Loader // by the ABI that policy.toml names
	Grants    []string                 // capabilities that a manifest may grant
	Upstreams *upstream.Registry
	Listeners Listeners // nil: listeners are not the engine's business (check, tests)
	Telemetry *telemetry.Telemetry
	Log       *slog.Logger
}

// Engine carries exchanges through the running generation. Its methods are safe
// for concurrent use; swaps follow one another.
type Engine struct {
	opts    Options
	current atomic.Pointer[generation]

	swapping sync.Mutex // held through a whole swap or rollback; guards disk and lastID
	disk     *disk      // nil before the first swap
	lastID   uint64     // of the newest generation
	slots    slots
	history  history

	mu       sync.Mutex
	stack    []*generation // those a rollback can reach, the running one last
	draining map[*generation]struct{}
	retirers sync.WaitGroup
}

// New returns an engine without a generation: Swap gives it the first one
// before Serve is called.
func New(opts Options) *Engine {
	return &Engine{opts: opts, draining: map[*generation]struct{}{}}
}

// Ready reports whether there is a generation to carry exchanges.
func (e *Engine) Ready() bool { return e.current.Load() != nil }

// Manifest returns the running generation's manifest, nil before the first swap.
func (e *Engine) Manifest() *manifest.Manifest {
	if g := e.current.Load(); g != nil {
		return g.manifest
	}
	return nil
}

// pin returns the running generation with one more exchange in flight.
func (e *Engine) pin() *generation {
	for {
		g := e.current.Load()
		g.inFlight.Add(1)
		if e.current.Load() == g {
			return g
		}
		g.unpin()
	}
}

// Close ends all generations once their exchanges have ended; at ctx's end it
// ends the exchanges. No exchange may begin any more.
func (e *Engine) Close(ctx context.Context) error {
	e.swapping.Lock()
	defer e.swapping.Unlock()
	e.mu.Lock()
	remaining := e.stack
	e.stack = nil
	e.mu.Unlock()
	deadline := time.Duration(0)
	if until, ok := ctx.Deadline(); ok {
		deadline = max(time.Until(until), time.Millisecond)
	}
	for _, g := range remaining {
		e.retire(g, deadline)
	}
	done := make(chan struct{})
	go func() { e.retirers.Wait(); close(done) }()
	var late error
	select {
	case <-done:
	case <-ctx.Done():
		e.abortDraining()
		<-done
		late = fmt.Errorf("close engine: %w", ctx.Err())
	}
	return errors.Join(late, e.closeDisk())
}

// abortDraining ends the exchanges of all generations that are on their way out.
func (e *Engine) abortDraining() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for g := range e.draining {
		g.abort(errShutdown)
	}
}
