package upstream

import (
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// budget bounds retries to a share of the requests, so that they cannot
// multiply the load of an upstream that is already in trouble. A few per second
// are always allowed, for upstreams with little traffic.
type budget struct{ window window }

// budgetSpan makes a slice of the window one second, the unit of MinRetries.
const budgetSpan = 10 * time.Second

// request counts a request's first try.
func (b *budget) request(now int64) { b.window.add(now, budgetSpan, 1, 0) }

// allow reports whether a retry is within the budget, and counts it if so.
func (b *budget) allow(now int64, conf *manifest.Retry) bool {
	_, inThisSecond := b.window.current(now, budgetSpan)
	if inThisSecond >= int64(conf.MinRetries) {
		requests, retries := b.window.sum(now, budgetSpan)
		if (retries+1)*100 > requests*int64(conf.Budget) {
			return false
		}
	}
	b.window.add(now, budgetSpan, 0, 1)
	return true
}
