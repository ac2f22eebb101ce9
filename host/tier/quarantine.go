package tier

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/policy"
)

// Quarantine: maxFailures in a row within failureWindow keep a policy from being
// called for firstBackoff, doubled up to maxBackoff with each probe that fails.
const (
	maxFailures   = 5
	failureWindow = 10 * time.Second
	firstBackoff  = time.Second
	maxBackoff    = time.Minute
)

// quarantine is a circuit breaker around one policy. Once its backoff is over it
// lets one exchange try the policy (half-open), and another one after each
// further backoff, so that a probe that never ends holds nobody up. All times
// are on the package's clock. The zero value is closed.
type quarantine struct {
	sick atomic.Bool // there is something to look at under mu

	mu       sync.Mutex
	kind     policy.Kind   // of the last failure
	failures int           // in a row
	first    time.Duration // when the row began
	backoff  time.Duration // 0: closed
	probe    time.Duration // when the next probe may start
	trips    uint64
}

// admission is what quarantine says to an exchange that wants to call the policy.
type admission struct {
	refused bool
	probe   bool          // it is the one that tries whether the policy is well
	kind    policy.Kind   // if refused: how the policy failed last
	wait    time.Duration // if refused: until the next probe
}

// admit decides whether an exchange may call the policy now.
func (q *quarantine) admit(at time.Duration) admission {
	if !q.sick.Load() {
		return admission{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.backoff == 0 {
		return admission{}
	}
	if at < q.probe {
		return admission{refused: true, kind: q.kind, wait: q.probe - at}
	}
	q.probe = at + q.backoff
	return admission{probe: true}
}

// failed counts a failure and reports whether it opened a closed quarantine, and
// for how long. While it is open only a probe counts: what went in before says
// nothing new.
func (q *quarantine) failed(at time.Duration, kind policy.Kind, probe bool) (backoff time.Duration, opened bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.backoff > 0 && !probe {
		return 0, false
	}
	q.kind = kind
	if q.failures == 0 || q.backoff == 0 && at-q.first > failureWindow {
		q.first, q.failures = at, 0
	}
	q.failures++
	q.sick.Store(true)
	switch {
	case q.backoff > 0:
		q.backoff = min(2*q.backoff, maxBackoff)
		q.probe = at + q.backoff
	case q.failures >= maxFailures:
		q.backoff = firstBackoff
		q.probe = at + q.backoff
		q.trips++
		return q.backoff, true
	}
	return 0, false
}

// passed forgets all failures and reports whether that ended a quarantine, which
// only a probe can.
func (q *quarantine) passed(probe bool) (closed bool) {
	if !q.sick.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	closed = q.backoff > 0
	if closed && !probe {
		return false
	}
	q.failures, q.backoff = 0, 0
	q.sick.Store(false)
	return closed
}

func (q *quarantine) status(at time.Duration) SlotStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := SlotStatus{Quarantined: q.backoff > 0, Failures: q.failures, Trips: q.trips}
	if q.failures > 0 {
		s.Kind = q.kind.String()
	}
	if s.Quarantined {
		s.Retry = max(q.probe-at, 0)
	}
	return s
}
