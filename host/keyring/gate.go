package keyring

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Gate bounds how much dear work (RSA with a private key, passwords) is under way
// in the process: what one policy is asked for must not take the processors from
// all traffic. It is safe for concurrent use.
type Gate struct {
	places  *semaphore.Weighted
	memory  *semaphore.Weighted
	waiting atomic.Int64
}

// Bounds of the work of a process.
const (
	maxWaiting  = 256
	memoryBytes = 256 << 20
)

// NewGate makes a gate for half of the processors, and 256 MiB of memory; at most
// 256 callers wait.
func NewGate() *Gate {
	places := max(1, runtime.GOMAXPROCS(0)/2)
	return &Gate{places: semaphore.NewWeighted(int64(places)), memory: semaphore.NewWeighted(memoryBytes)}
}

// Turn is how a caller waits for dear work.
type Turn struct {
	Context context.Context // whose end ends the wait
	Wait    func()          // the wait begins; may be nil
	Resume  func()          // the wait is over, whatever came of it; may be nil
}

// do does some work that takes that much memory, as soon as there is room. It
// returns ErrBusy if too many wait, and ErrTimeout if the context ends before the
// work begins; what has begun is not broken off.
func (g *Gate) do(t Turn, memory int64, work func() error) error {
	if g.waiting.Add(1) > maxWaiting {
		g.waiting.Add(-1)
		return ErrBusy
	}
	err := g.wait(t, memory)
	if err == nil {
		defer g.places.Release(1)
		defer g.memory.Release(memory)
	}
	if t.Resume != nil {
		t.Resume() // as may this
	}
	if err != nil {
		return ErrTimeout
	}
	return work()
}

func (g *Gate) wait(t Turn, memory int64) error {
	defer g.waiting.Add(-1)
	if t.Wait != nil {
		t.Wait() // it may panic: the guest's time is up
	}
	return g.enter(t.Context, memory)
}

func (g *Gate) enter(ctx context.Context, memory int64) error {
	if err := g.places.Acquire(ctx, 1); err != nil {
		return err
	}
	err := g.memory.Acquire(ctx, memory)
	if err != nil {
		g.places.Release(1)
	}
	return err
}
