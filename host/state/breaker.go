package state

import (
	"sync/atomic"
	"time"
)

// breaker spares callers a wait that is known to be in vain. It opens when
// several calls in a row have failed, then lets one try in each pause, and closes
// with the first that succeeds. The zero value is closed.
type breaker struct {
	failures atomic.Int32
	nextTry  atomic.Int64 // when the next one may try, in time.Durations; 0: closed
}

const (
	breakerFailures = 5
	breakerPause    = 250 * time.Millisecond
)

// allow reports whether to try.
func (b *breaker) allow(now time.Duration) bool {
	next := b.nextTry.Load()
	if next == 0 {
		return true
	}
	return int64(now) >= next && b.nextTry.CompareAndSwap(next, int64(now+breakerPause))
}

// succeed closes the breaker, and reports whether it was open.
func (b *breaker) succeed() (wasOpen bool) {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
	return b.nextTry.Load() != 0 && b.nextTry.Swap(0) != 0
}

// fail counts a failure, and reports whether it opened the breaker.
func (b *breaker) fail(now time.Duration) (opened bool) {
	if b.failures.Add(1) < breakerFailures {
		return false
	}
	return b.nextTry.CompareAndSwap(0, int64(now+breakerPause))
}

func (b *breaker) open() bool { return b.nextTry.Load() != 0 }
