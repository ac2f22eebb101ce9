package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Source is a manifest to build a generation from.
type Source struct {
	Path string // where it stands; relative paths in it start at its folder
	Data []byte // its text; nil reads Path
}

// Change says what a swap or rollback did.
type Change struct {
	From         uint64        `json:"from"`
	To           uint64        `json:"to"` // From if nothing was new
	Digest       string        `json:"digest"`
	Changes      []string      `json:"changes"`                 // what is new, one line each; empty if nothing was
	Loaded       int           `json:"policies_loaded"`         // made anew
	Kept         int           `json:"policies_kept"`           // carried over with their instances
	Warnings     []string      `json:"warnings,omitempty"`      // of the manifest
	NeedsRestart []string      `json:"needs_restart,omitempty"` // settings that the process keeps until then
	Took         time.Duration `json:"took_ns"`
}

// ErrNoGeneration says that there is no generation to roll back to.
var ErrNoGeneration = errors.New("no such generation to roll back to")

// Swap builds a generation from the manifest and makes it the running one. The
// error, usually manifest.Problems, says all that is wrong; then nothing has
// changed. Exchanges in flight end in the generation they began in.
func (e *Engine) Swap(ctx context.Context, cause string, from Source) (*Change, error) {
	e.swapping.Lock()
	defer e.swapping.Unlock()
	started := time.Now()
	change, err := e.swap(ctx, from)
	e.remember(cause, started, change, err)
	return change, err
}

func (e *Engine) swap(ctx context.Context, from Source) (*Change, error) {
	if from.Data == nil {
		data, err := os.ReadFile(from.Path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		from.Data = data
	}
	b, err := e.build(ctx, from, sources{})
	if err != nil {
		return nil, err
	}
	before := e.current.Load()
	if before != nil && before.digest == b.g.digest {
		b.abandon(ctx)
		return &Change{From: before.id, To: before.id, Digest: before.digest, Kept: b.kept, Warnings: b.warnings}, nil
	}
	if err := e.keepOnDisk(b); err != nil {
		b.abandon(ctx)
		return nil, err
	}
	return e.activate(b, append(e.reachable(), b.g)), nil
}

// Rollback makes the generation steps before the running one the running one
// again. A generation that is still whole in memory takes over at once; one from
// before a restart is built from the archive. Those in between are closed.
func (e *Engine) Rollback(ctx context.Context, steps int) (*Change, error) {
	e.swapping.Lock()
	defer e.swapping.Unlock()
	started := time.Now()
	change, err := e.rollback(ctx, steps)
	e.remember("rollback", started, change, err)
	return change, err
}

func (e *Engine) rollback(ctx context.Context, steps int) (*Change, error) {
	if steps < 1 {
		return nil, fmt.Errorf("%d steps back: %w", steps, ErrNoGeneration)
	}
	stack := e.reachable()
	if steps < len(stack) {
		target := stack[len(stack)-1-steps]
		b, err := e.reopen(target)
		if err != nil {
			return nil, err
		}
		return e.activate(b, stack[:len(stack)-steps]), nil
	}
	b, err := e.restore(ctx, stack, steps-len(stack)+1)
	if err != nil {
		return nil, err
	}
	return e.activate(b, []*generation{b.g}), nil
}

// Check builds a generation as Swap does and throws it away. The same problems
// come back; nothing changes, also not on disk.
func (e *Engine) Check(ctx context.Context, from Source) (*Change, error) {
	started := time.Now()
	if from.Data == nil {
		data, err := os.ReadFile(from.Path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		from.Data = data
	}
	b, err := e.build(ctx, from, sources{})
	if err != nil {
		return nil, err
	}
	defer b.abandon(ctx)
	change := b.change(e.current.Load())
	change.Took = time.Since(started)
	return change, nil
}

// activate moves the pointer to what b built; stack is what rollbacks can
// reach from then on, b's generation last. Nothing can fail any more.
func (e *Engine) activate(b *build, stack []*generation) *Change {
	before := e.current.Load()
	change := b.change(before)
	b.g.since = time.Now()
	keep := b.g.manifest.Host.KeepGenerations + 1
	surplus := max(0, len(stack)-keep)

	e.mu.Lock()
	gone := missing(e.stack, stack[surplus:])
	e.stack = append([]*generation(nil), stack[surplus:]...)
	e.mu.Unlock()

	e.current.Store(b.g)
	b.listeners.Commit()
	for _, g := range gone {
		e.retire(g, b.g.manifest.Host.DrainTimeout.D())
	}
	return change
}

// missing returns what is in before and not in after.
func missing(before, after []*generation) []*generation {
	var gone []*generation
	for _, g := range before {
		stays := false
		for _, kept := range after {
			stays = stays || kept == g
		}
		if !stays {
			gone = append(gone, g)
		}
	}
	return gone
}

// retire closes a generation that no exchange can begin in any more, once those
// in flight have ended.
func (e *Engine) retire(g *generation, deadline time.Duration) {
	e.mu.Lock()
	e.draining[g] = struct{}{}
	e.mu.Unlock()
	g.retired.Store(true)
	e.retirers.Add(1)
	go func() {
		defer e.retirers.Done()
		g.drain(deadline)
		g.close(context.Background(), &e.slots)
		e.mu.Lock()
		delete(e.draining, g)
		e.mu.Unlock()
		e.opts.Log.Debug("generation closed", "generation", g.id)
	}()
}

// reachable returns the generations that are whole in memory, the running one
// last.
func (e *Engine) reachable() []*generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*generation(nil), e.stack...)
}

// remember writes a swap's outcome to history, log and metrics.
func (e *Engine) remember(cause string, started time.Time, change *Change, err error) {
	r := Record{Time: started, Cause: cause, Took: time.Since(started)}
	if g := e.current.Load(); g != nil {
		r.From, r.To, r.Digest = g.id, g.id, g.digest
	}
	if err != nil {
		r.Refused, r.Problems = true, problemLines(err)
		e.opts.Telemetry.Swap(cause, "refused")
		if r.To != 0 { // else whoever starts the host says so
			e.opts.Log.Error("swap refused: the running generation goes on", "cause", cause, "generation", r.To, "problems", r.Problems)
		}
		e.history.add(r)
		return
	}
	change.Took = r.Took
	if change.From == change.To {
		e.opts.Telemetry.Swap(cause, "unchanged")
		return
	}
	r.From, r.Changes = change.From, change.Changes
	e.opts.Telemetry.Swap(cause, "done")
	e.opts.Log.Info("generation running", "cause", cause, "generation", r.To, "from", r.From,
		"took", r.Took, "policies_loaded", change.Loaded, "policies_kept", change.Kept, "changes", change.Changes)
	e.history.add(r)
}

// problemLines returns one line for each thing that is wrong.
func problemLines(err error) []string {
	var problems manifest.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return lines
}
