package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
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
// error, usually manifest.Problems, says all that is wrong; then, and if ctx ends
// before the generation is built, nothing has changed. Exchanges in flight end in
// the generation they began in.
func (e *Engine) Swap(ctx context.Context, cause string, from Source) (*Change, error) {
	if err := e.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer e.giveTurn()
	started := time.Now()
	change, err := e.swap(ctx, from)
	e.remember(cause, started, change, err)
	return change, err
}

func (e *Engine) swap(ctx context.Context, from Source) (*Change, error) {
	b, err := e.read(ctx, from)
	if err != nil {
		return nil, err
	}
	before := e.current.Load()
	if b.isSame(before) {
		b.abandon()
		return &Change{
			From: before.id, To: before.id, Digest: before.digest, Changes: []string{}, Kept: b.kept, Warnings: b.warnings,
		}, nil
	}
	if err := e.number(b); err != nil {
		b.abandon()
		return nil, err
	}
	return e.activate(b, append(e.reachable(), b.g)), nil
}

// read builds a generation from a manifest that may have to be read first.
func (e *Engine) read(ctx context.Context, from Source) (*build, error) {
	if from.Data == nil {
		data, err := manifest.ReadFile(from.Path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		from.Data = data
	}
	return e.build(ctx, from, sources{})
}

// isSame reports whether b is what runs already. The same text in another folder
// is another manifest: its relative paths lead elsewhere.
func (b *build) isSame(running *generation) bool {
	folder := func(m *manifest.Manifest) string { return filepath.Dir(m.Source().File()) }
	return running != nil && running.digest == b.g.digest && folder(running.manifest) == folder(b.m)
}

// Rollback makes the generation steps before the running one the running one
// again. A generation that is still whole in memory takes over at once; one from
// before a restart is built from the archive. Those in between are closed and
// forgotten, so that no later rollback comes upon them.
func (e *Engine) Rollback(ctx context.Context, steps int) (*Change, error) {
	if err := e.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer e.giveTurn()
	started := time.Now()
	change, err := e.rollback(ctx, steps)
	e.remember("rollback", started, change, err)
	if err == nil {
		e.forgetAfter(change.To)
	}
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
	if err := e.takeTurn(ctx); err != nil { // the listeners take one change at a time
		return nil, err
	}
	defer e.giveTurn()
	started := time.Now()
	b, err := e.read(ctx, from)
	if err != nil {
		return nil, err
	}
	defer b.abandon()
	change := b.change(e.current.Load())
	change.Took = time.Since(started)
	return change, nil
}

// activate moves the pointer to what b built; stack is what rollbacks can
// reach from then on, b's generation last. Nothing can fail any more.
func (e *Engine) activate(b *build, stack []*generation) *Change {
	before := e.current.Load()
	change := b.change(before)
	b.g.since.Store(time.Now().UnixNano())
	host := &b.g.manifest.Host
	surplus := max(0, len(stack)-host.KeepGenerations-1)

	e.mu.Lock()
	gone := missing(e.stack, stack[surplus:])
	e.stack = slices.Clone(stack[surplus:])
	e.unexpire(b.g)
	b.g.revive()
	e.current.Store(b.g)
	if before != nil {
		e.expireAfter(before, host.DrainTimeout.D())
	}
	e.mu.Unlock()

	b.listeners.Commit()
	for _, g := range gone {
		e.retire(g)
	}
	return change
}

// missing returns what is in before and not in after.
func missing(before, after []*generation) []*generation {
	var gone []*generation
	for _, g := range before {
		if !slices.Contains(after, g) {
			gone = append(gone, g)
		}
	}
	return gone
}

// reachable returns the generations that are whole in memory, the running one
// last.
func (e *Engine) reachable() []*generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.stack)
}
