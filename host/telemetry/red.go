package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RED is the rate, errors and duration of one part of the host: a listener, a
// tier, a stage, a policy, an upstream. Its labels are bound when it is made,
// so that recording costs a few atomic adds and no allocation. It is safe for
// concurrent use; a nil *RED records nothing.
type RED struct {
	inFlight prometheus.Gauge
	duration prometheus.Observer
	outcomes []prometheus.Counter // by outcome
}

// Begin counts a start.
func (r *RED) Begin() {
	if r != nil {
		r.inFlight.Inc()
	}
}

// End counts the end of what Begin began, with its outcome: one of the
// constants of the part's kind, such as PolicyAnswered.
func (r *RED) End(elapsed time.Duration, outcome Outcome) {
	if r == nil {
		return
	}
	r.inFlight.Dec()
	r.duration.Observe(elapsed.Seconds())
	r.outcomes[outcome].Inc()
}

// Outcome is an index into the outcomes of one kind of part.
type Outcome uint8

// Outcomes of a listener and of an upstream: by status class, or failed
// without a status.
const (
	Informational Outcome = iota // 101
	Successful
	Redirection
	ClientError
	ServerError
	Failed // no response: the client or the upstream went away
)

// Outcomes of a policy's call, and of a stage and a tier, which take the
// worst of theirs.
const (
	Continued Outcome = iota
	Answered
	Trapped
	TimedOut
	Overloaded
	Misconfigured // load or config failure that the failure rule let pass
	Quarantined
)

// OfStatus returns the outcome for a response's status, 101 to 599.
func OfStatus(status int) Outcome { return Outcome(status/100 - 1) }
