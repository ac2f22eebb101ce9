// Package wasm runs guests: it compiles modules, links them with the host
// functions that they were granted, and starts, calls, bounds and pools their
// instances. What the functions mean is the matter of the ABIs above it.
//
// Host functions are api.GoModuleFunc only, the form that costs no reflection
// and no allocation. A guest is stopped at its deadline because its module was
// rewritten to come to the host now and then (package meter); what decides about
// deadlines is in one place, the budget of a call.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Options say how an Engine works. The zero value is usable.
type Options struct {
	// CacheDir is where compiled modules are kept between runs; empty keeps them
	// in memory only. Whoever can write there can run code in the host, so it
	// must belong to the host's user and nobody else may enter it.
	CacheDir string
	// StartTimeout bounds a guest's start-up; default 10 s.
	StartTimeout time.Duration
	// TrimInterval is how long an instance may be idle beyond need; default 30 s.
	TrimInterval time.Duration
	// Capabilities are the host modules that a manifest can grant.
	Capabilities []HostModule
	// Log is told of a damaged cache; default: nobody is.
	Log *slog.Logger
	// Unmetered leaves out what stops a guest at its deadline. It exists to
	// measure what that costs: one endless guest stops the whole process.
	Unmetered bool
	// HeapMemory keeps the memory of guests on Go's heap, as it is on systems
	// that have no other way: then nothing is cloned.
	HeapMemory bool

	clock func() time.Duration // of deadlines; tests have their own
}

// Engine compiles modules and owns what they share: the compilation cache, one
// wazero runtime for each module, and the goroutine that trims pools. It is
// safe for concurrent use.
type Engine struct {
	options Options
	cache   wazero.CompilationCache
	pages   *pageTable // nil: the system has none

	mu       sync.Mutex
	programs map[programKey]*pending
	pools    map[Trimmer]struct{}

	stop    chan struct{}
	trimmed sync.WaitGroup
}

// Trimmer gives up what was not needed since it was last told to.
type Trimmer interface{ Trim() }

// Open makes an engine. It refuses a cache directory that others can write to.
func Open(options Options) (*Engine, error) {
	if options.StartTimeout == 0 {
		options.StartTimeout = 10 * time.Second
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.TrimInterval == 0 {
		options.TrimInterval = 30 * time.Second
	}
	if options.clock == nil {
		options.clock = sinceEpoch
	}
	cache, err := openCache(options.CacheDir)
	if err != nil {
		return nil, err
	}
	pages, err := openPages()
	if err != nil {
		pages = nil
	}
	e := &Engine{
		options:  options,
		cache:    cache,
		pages:    pages,
		programs: make(map[programKey]*pending),
		pools:    make(map[Trimmer]struct{}),
		stop:     make(chan struct{}),
	}
	e.trimmed.Go(e.trimPools)
	return e, nil
}

// Close ends the engine. Every program must have been closed before; otherwise
// it says which are not and closes nothing but the trimming of pools.
func (e *Engine) Close(ctx context.Context) error {
	close(e.stop)
	e.trimmed.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.programs); n > 0 {
		return fmt.Errorf("close wasm engine: %d modules are still in use", n)
	}
	err := e.cache.Close(ctx)
	if e.pages != nil {
		err = errors.Join(err, e.pages.close())
	}
	return err
}

func (e *Engine) trimPools() {
	ticker := time.NewTicker(e.options.TrimInterval)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
		}
		for _, p := range e.trimmers() {
			p.Trim()
		}
	}
}

func (e *Engine) trimmers() []Trimmer {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]Trimmer, 0, len(e.pools))
	for p := range e.pools {
		list = append(list, p)
	}
	return list
}

// AddPool has p trimmed now and then, until RemovePool.
func (e *Engine) AddPool(p Trimmer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pools[p] = struct{}{}
}

// RemovePool takes AddPool back. A Trim may be under way still.
func (e *Engine) RemovePool(p Trimmer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pools, p)
}

func (e *Engine) runtimeConfig(cache wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2). // which package meter knows
		WithCompilationCache(cache)
}
