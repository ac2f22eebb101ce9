package upstream

import (
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// clock is exchange.Clock in nanoseconds, as atomics hold them. 0 stands for
// "never".
func clock() int64 { return int64(exchange.Clock()) }

// endpoint is what is known of one address of one upstream. It is shared by
// all generations that name it. Reading it takes no lock.
type endpoint struct {
	upstream string
	address  string // as in the manifest: "http://host:port"

	inFlight     atomic.Int64
	rampFrom     atomic.Int64 // when the last slow start began; 0 if none did
	ejectedUntil atomic.Int64
	failures     atomic.Int64 // consecutive
	ejections    atomic.Int64 // that count for the length of the next one

	requests, failed atomic.Uint64 // since the endpoint is known
}

// succeeded ends a run of failures.
func (e *endpoint) succeeded() {
	if e.failures.Load() != 0 {
		e.failures.Store(0)
	}
}

// maxEjectionFactor bounds how long an ejection can grow: ten times the first.
const maxEjectionFactor = 10

// hasFailed counts a failure and reports how long the endpoint is to be
// ejected, 0 if it is not. room says whether one more may be ejected.
func (e *endpoint) hasFailed(o *manifest.Outlier, now int64, room func() bool) time.Duration {
	e.failed.Add(1)
	until := e.ejectedUntil.Load()
	if o.Failures == 0 || until > now { // those on their way at the ejection don't count
		return 0
	}
	if e.failures.Add(1) < int64(o.Failures) || !room() {
		return 0
	}
	first := int64(o.Ejection)
	n := e.ejections.Load()
	if first > 0 && until > 0 {
		n = max(0, n-(now-until)/(first*maxEjectionFactor)) // time without trouble is forgiving
	}
	length := first
	for range n {
		length = min(2*length, first*maxEjectionFactor)
	}
	if !e.ejectedUntil.CompareAndSwap(until, now+length) {
		return 0 // another failure was faster
	}
	e.ejections.Store(n + 1)
	e.failures.Store(0)
	e.rampFrom.Store(now + length)
	return time.Duration(length)
}
