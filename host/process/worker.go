package process

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// How long a process that ended stays down: longer each time, up to a bound, and as at
// first again when one has been up for a while. With patience of them in a row the
// worker is in quarantine: it stays down longer, and no exchange waits for it.
const (
	minBackoff        = 100 * time.Millisecond
	patience          = 3
	quarantineBackoff = time.Second
	maxBackoff        = time.Minute
	settled           = 10 * time.Second
)

// backoff is how long a worker is down after so many failures in a row.
func backoff(failures int) time.Duration {
	if failures < patience {
		return minBackoff << (failures - 1)
	}
	return min(quarantineBackoff<<min(failures-patience, 16), maxBackoff)
}

// worker keeps one process of a policy up.
type worker struct {
	policy  *Policy
	launch  *launch
	current atomic.Pointer[process] // nil while it is down

	failures atomic.Int64 // in a row
	next     atomic.Int64 // exchange.Clock when the next process is started
}

// keep runs first, and one process after another in its place, until ctx ends.
func (w *worker) keep(ctx context.Context, first *process) {
	for q := first; ; {
		if q != nil {
			began := time.Now()
			if w.run(ctx, q); time.Since(began) >= settled {
				w.failures.Store(0)
			}
		}
		if !w.rest(ctx) {
			return
		}
		q = w.again(ctx)
	}
}

// rest waits before the next process is started, and reports false if ctx ended.
func (w *worker) rest(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	failures := int(w.failures.Load()) + 1
	wait := backoff(failures)
	w.next.Store(int64(exchange.Clock() + wait))
	w.failures.Store(int64(failures))
	if failures >= patience {
		w.policy.announce() // who waits need not
		w.launch.log.Error("a policy's process is in quarantine", "failures", failures, "next_in", wait)
	}
	return pause(ctx, wait)
}

// isDown reports whether there is no process, and whether the worker is in quarantine.
func (w *worker) isDown() (down, quarantined bool) {
	down = w.current.Load() == nil
	return down, down && w.failures.Load() >= patience
}

// retry is how long it takes until the next process is started.
func (w *worker) retry() time.Duration {
	return max(0, time.Duration(w.next.Load())-exchange.Clock())
}

// run has a process carry exchanges until it ends, or ctx does.
func (w *worker) run(ctx context.Context, q *process) {
	w.current.Store(q)
	w.policy.announce()
	var watch sync.WaitGroup
	watch.Go(func() { q.watch(max(w.policy.limits.Time.D(), probeEvery)) })
	err := q.run(ctx)
	watch.Wait()
	w.current.Store(nil)
	if ctx.Err() != nil {
		q.end()
		return
	}
	q.kill()
	w.policy.discarded.Add(1)
	w.launch.log.Warn("a policy's process ended", "err", err, "pid", q.PID())
}

// again starts the next process. It returns nil if that can't be done now.
func (w *worker) again(ctx context.Context) *process {
	q, contract, err := w.launch.start(ctx)
	if err == nil && !equal(contract, w.policy.contract) {
		q.kill()
		err = errContract
	}
	if err != nil {
		if ctx.Err() == nil {
			w.launch.log.Warn("start a policy's process again", "err", err)
		}
		return nil
	}
	w.policy.created.Add(1)
	return q
}

// pause waits, and reports false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// quarantined is the error of a policy whose processes all keep ending: nil if one is up, or
// may be in a moment.
func (p *Policy) quarantined() error {
	next := maxBackoff
	for _, w := range p.workers {
		if _, quarantined := w.isDown(); !quarantined {
			return nil
		}
		next = min(next, w.retry())
	}
	return fmt.Errorf("%w and keep ending: the next is started in %v", errNoProcess, next.Round(time.Millisecond))
}
