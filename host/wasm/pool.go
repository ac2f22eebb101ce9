package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// What Acquire can answer besides the error of a start.
var (
	ErrOverload = errors.New("no instance became free in time")
	ErrClosed   = errors.New("the pool is closed")
)

// PoolConfig says how a Pool makes and bounds instances.
type PoolConfig[T any] struct {
	Max   int           // instances alive
	Wait  time.Duration // longest wait for one
	Start func(context.Context) (T, error)
	Stop  func(T)
}

// Pool lends instances, the one used last first, so that few stay warm and the
// rest can go. It is safe for concurrent use.
type Pool[T any] struct {
	engine *Engine
	config PoolConfig[T]

	mu      sync.Mutex
	idle    []T
	unused  int // the fewest idle since the last Trim
	alive   int
	busy    int
	waiting []*waiter[T]
	closed  bool
	drained chan struct{} // closed when the pool is and nothing is lent
	counts  PoolStats
}

// PoolStats is the state of a pool and what it counted since it was made.
type PoolStats struct {
	Instances, Busy                      int
	Created, Discarded, Waits, Overloads uint64
}

// waiter is somebody who waits for an instance. What it gets is sent once.
type waiter[T any] struct{ grant chan grant[T] }

// grant is an instance, or the right to start one.
type grant[T any] struct {
	instance T
	start    bool
	err      error
}

// NewPool makes an empty pool that the engine trims until it is closed.
func NewPool[T any](e *Engine, config PoolConfig[T]) *Pool[T] {
	p := &Pool[T]{engine: e, config: config, drained: make(chan struct{})}
	e.AddPool(p)
	return p
}

// Add gives the pool an instance that was made without it, before anybody lends
// one.
func (p *Pool[T]) Add(i T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, i)
	p.alive++
	p.counts.Created++
}

// Acquire lends an instance. It starts one if none is idle, and waits if the
// pool is full: the error is then ErrOverload, ErrClosed or the context's.
func (p *Pool[T]) Acquire(ctx context.Context) (T, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		var none T
		return none, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		i := p.pop()
		p.mu.Unlock()
		return i, nil
	}
	p.unused = 0
	p.busy++
	if p.alive < p.config.Max {
		p.alive++
		p.mu.Unlock()
		return p.start(ctx)
	}
	w := &waiter[T]{grant: make(chan grant[T], 1)}
	p.waiting = append(p.waiting, w)
	p.counts.Waits++
	p.mu.Unlock()
	return p.wait(ctx, w)
}

// pop lends the instance that was used last; the pool is locked.
func (p *Pool[T]) pop() T {
	last := len(p.idle) - 1
	i := p.idle[last]
	var none T
	p.idle[last] = none
	p.idle = p.idle[:last]
	p.unused = min(p.unused, last)
	p.busy++
	return i
}

// start makes the instance that was counted as alive and busy before.
func (p *Pool[T]) start(ctx context.Context) (T, error) {
	i, err := p.config.Start(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.vacate()
		return i, err
	}
	p.counts.Created++
	return i, nil
}

// vacate gives up a place of a busy instance that is no more; the pool is locked.
func (p *Pool[T]) vacate() {
	p.busy--
	if w := p.next(); w != nil {
		w.grant <- grant[T]{start: true}
		return
	}
	p.alive--
	p.checkDrained()
}

// next takes out who waited longest; the pool is locked.
func (p *Pool[T]) next() *waiter[T] {
	if len(p.waiting) == 0 {
		return nil
	}
	w := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return w
}

func (p *Pool[T]) wait(ctx context.Context, w *waiter[T]) (T, error) {
	timer := time.NewTimer(p.config.Wait)
	defer timer.Stop()
	var cause error
	select {
	case g := <-w.grant:
		return p.take(ctx, g)
	case <-timer.C:
		cause = ErrOverload
	case <-ctx.Done():
		cause = exchange.CauseOf(ctx)
	}
	if !p.leave(w, cause) {
		return p.take(ctx, <-w.grant) // it came in the same moment
	}
	var none T
	return none, cause
}

func (p *Pool[T]) take(ctx context.Context, g grant[T]) (T, error) {
	if g.start {
		return p.start(ctx)
	}
	return g.instance, g.err
}

// leave stops waiting; it reports false if the grant is on its way.
func (p *Pool[T]) leave(w *waiter[T], cause error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, other := range p.waiting {
		if other == w {
			p.waiting = append(p.waiting[:n], p.waiting[n+1:]...)
			p.busy--
			if cause == ErrOverload {
				p.counts.Overloads++
			}
			return true
		}
	}
	return false
}

// Release takes an instance back. One that is spent is stopped.
func (p *Pool[T]) Release(i T, spent bool) {
	p.mu.Lock()
	if spent || p.closed {
		if spent {
			p.counts.Discarded++
		}
		p.mu.Unlock()
		p.config.Stop(i)
		p.mu.Lock()
		p.vacate()
		p.mu.Unlock()
		return
	}
	p.busy--
	if w := p.next(); w != nil {
		w.grant <- grant[T]{instance: i}
	} else {
		p.idle = append(p.idle, i)
	}
	p.mu.Unlock()
}

// Trim stops the instances that were not needed since the last Trim, but one.
func (p *Pool[T]) Trim() {
	p.mu.Lock()
	n := min(p.unused, p.alive-1)
	var cold []T
	if n > 0 {
		cold = append(cold, p.idle[:n]...)
		p.idle = append(p.idle[:0], p.idle[n:]...)
		p.alive -= n
	}
	p.unused = len(p.idle)
	p.mu.Unlock()
	for _, i := range cold {
		p.config.Stop(i)
	}
}

// Stats returns the state at this moment.
func (p *Pool[T]) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.counts
	s.Instances, s.Busy = p.alive, p.busy-len(p.waiting)
	return s
}

// Close stops the idle instances, turns away who waits, and waits for those
// that are lent. When ctx ends before, it returns with an error, and what is
// still out is stopped when it comes back. It is called once.
func (p *Pool[T]) Close(ctx context.Context) error {
	p.engine.RemovePool(p)
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.alive -= len(idle)
	for w := p.next(); w != nil; w = p.next() {
		p.busy--
		w.grant <- grant[T]{err: ErrClosed}
	}
	p.checkDrained()
	p.mu.Unlock()
	for _, i := range idle {
		p.config.Stop(i)
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d instances are still busy: %w", p.Stats().Busy, context.Cause(ctx))
	}
}

// checkDrained tells Close that nothing is lent any more; the pool is locked.
func (p *Pool[T]) checkDrained() {
	if p.closed && p.alive == 0 {
		close(p.drained)
	}
}
