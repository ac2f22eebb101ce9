package tier

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// errFull says that no place became free in time, or that too many wait already.
var errFull = errors.New("no place in the tier")

// Bulkhead bounds how many exchanges are in a tier, and how many wait for how
// long to get in, first come, first served. It is safe for concurrent use.
type Bulkhead struct {
	places  int64
	queue   int
	timeout time.Duration // of waiting

	taken   atomic.Int64
	waiting atomic.Int64 // len(line), to be read without mu
	waits   atomic.Uint64
	shed    atomic.Uint64

	mu   sync.Mutex
	line list.List // of *waiter
}

// waiter is an exchange in line. ready is closed when it has a place.
type waiter struct{ ready chan struct{} }

// NewBulkhead makes an empty one by a tier's max_in_flight, queue and
// queue_timeout.
func NewBulkhead(c manifest.Tier) *Bulkhead {
	return &Bulkhead{places: int64(c.MaxInFlight), queue: c.Queue, timeout: c.QueueTimeout.D()}
}

// Fits reports whether a bulkhead by the settings c would be like this one.
func (b *Bulkhead) Fits(c manifest.Tier) bool {
	return b.places == int64(c.MaxInFlight) && b.queue == c.Queue && b.timeout == c.QueueTimeout.D()
}

// BulkheadStatus is the state of a bulkhead at one moment.
type BulkheadStatus struct {
	InFlight int    `json:"in_flight"`
	Limit    int    `json:"limit"` // of InFlight
	Queued   int    `json:"queued"`
	Queue    int    `json:"queue"` // limit of Queued
	Waits    uint64 `json:"waits"` // exchanges that had to wait
	Shed     uint64 `json:"shed"`  // exchanges refused
}

// Status returns the state now.
func (b *Bulkhead) Status() BulkheadStatus {
	return BulkheadStatus{
		InFlight: int(b.taken.Load()), Limit: int(b.places),
		Queued: int(b.waiting.Load()), Queue: b.queue,
		Waits: b.waits.Load(), Shed: b.shed.Load(),
	}
}

// enter takes a place. It returns errFull, or ctx's error if ctx ends first.
func (b *Bulkhead) enter(ctx context.Context) error {
	if b.enterAtOnce() {
		return nil
	}
	return b.wait(ctx)
}

// enterAtOnce takes a place if nobody has to wait for one.
func (b *Bulkhead) enterAtOnce() bool { return b.waiting.Load() == 0 && b.take() }

// wait is what enter does when there may be no place.
func (b *Bulkhead) wait(ctx context.Context) error {
	place, me := b.lineUp()
	if me == nil {
		if place {
			return nil
		}
		b.shed.Add(1)
		return errFull
	}
	b.waits.Add(1)
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	var err error
	select {
	case <-me.Value.(*waiter).ready:
		return nil
	case <-timer.C:
		err = errFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !b.stepOut(me) {
		return nil // the place came at the last moment
	}
	if errors.Is(err, errFull) {
		b.shed.Add(1)
	}
	return err
}

// take takes a free place if there is one.
func (b *Bulkhead) take() bool {
	for {
		n := b.taken.Load()
		if n >= b.places {
			return false
		}
		if b.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// lineUp joins the line. It returns nil if that is not needed, because there is
// a place after all, or not possible.
func (b *Bulkhead) lineUp() (place bool, me *list.Element) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line.Len() >= b.queue {
		return b.line.Len() == 0 && b.take(), nil
	}
	// Whoever leaves looks at waiting after giving the place back, so either
	// take sees that place or leave sees this waiter.
	b.waiting.Add(1)
	if b.line.Len() == 0 && b.take() {
		b.waiting.Add(-1)
		return true, nil
	}
	return false, b.line.PushBack(&waiter{make(chan struct{})})
}

// stepOut leaves the line; false means that the place has come meanwhile.
func (b *Bulkhead) stepOut(me *list.Element) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-me.Value.(*waiter).ready:
		return false
	default:
	}
	b.line.Remove(me)
	b.waiting.Add(-1)
	return true
}

// leave gives a place back, to the first in line if there is a line.
func (b *Bulkhead) leave() {
	b.taken.Add(-1)
	if b.waiting.Load() > 0 {
		b.serve()
	}
}

// serve gives free places to those in line, first to last.
func (b *Bulkhead) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for first := b.line.Front(); first != nil && b.take(); first = b.line.Front() {
		b.line.Remove(first)
		b.waiting.Add(-1)
		close(first.Value.(*waiter).ready)
	}
}
