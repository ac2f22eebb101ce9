package process

import (
	"context"
	"sync/atomic"
	"time"
)

// How long a process that ended stays down: longer each time, up to a bound, and as at
// first again when one has been up for a while.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
	settled    = time.Minute
)

// worker keeps one process of a policy up.
type worker struct {
	policy  *Policy
	launch  *launch
	current atomic.Pointer[process] // nil while it is down
}

// keep runs first, and one process after another in its place, until ctx ends.
func (w *worker) keep(ctx context.Context, first *process) {
	backoff := minBackoff
	for q := first; ; {
		if q != nil {
			began := time.Now()
			w.run(ctx, q)
			if time.Since(began) >= settled {
				backoff = minBackoff
			}
		}
		if !pause(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, maxBackoff)
		q = w.again(ctx)
	}
}

// run has a process carry exchanges until it ends, or ctx does.
func (w *worker) run(ctx context.Context, q *process) {
	w.current.Store(q)
	w.policy.announce()
	err := q.run(ctx)
	w.current.Store(nil)
	if ctx.Err() != nil {
		q.end()
		return
	}
	q.kill()
	w.policy.discarded.Add(1)
	w.launch.log.Warn("a policy's process ended", "err", err, "pid", q.pid())
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
