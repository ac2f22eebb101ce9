package wasm

import (
	"sync/atomic"
	"time"
)

// budget is the time that a guest may take for one call. Only the guest's own
// time counts: pause and resume leave out what the host waits for. It is the
// one place that decides when a guest is stopped; who stops it is told by the
// channel done.
//
// One goroutine uses it; done and expired may be read by any.
type budget struct {
	timer   *time.Timer
	done    chan struct{}
	expired atomic.Bool
	since   time.Duration // when the guest began or went on, after epoch
	left    time.Duration // at since
}

// epoch makes reading the clock half as dear: the time since it is monotonic
// alone, the time itself is two readings.
var epoch = time.Now()

func newBudget() *budget {
	b := &budget{done: make(chan struct{})}
	b.timer = time.AfterFunc(time.Hour, func() {
		b.expired.Store(true)
		close(b.done)
	})
	b.timer.Stop()
	return b
}

func (b *budget) begin(d time.Duration) {
	b.left = d
	b.resume()
}

// pause stops the clock. It reports false if the time is up already.
func (b *budget) pause() bool {
	if !b.timer.Stop() {
		return false
	}
	b.left -= time.Since(epoch) - b.since
	return true
}

func (b *budget) resume() {
	b.since = time.Since(epoch)
	b.timer.Reset(b.left)
}

// end stops the clock for good. It reports false if the time was up: then the
// budget can't be used again, and neither can the instance that it stops.
func (b *budget) end() bool { return b.timer.Stop() }
