package telemetry

import (
	"sync/atomic"
	"time"
)

// RED is the rate, errors and duration of one part of the host: a listener, a
// tier, a stage, a policy, an upstream. What its series are called was decided
// when it was made, so that recording costs four atomic adds and no allocation.
// It is safe for concurrent use; a nil *RED records nothing.
type RED struct {
	begun    atomic.Uint64
	nanos    atomic.Int64 // the sum of all durations
	outcomes [maxOutcomes]atomic.Uint64
	buckets  [maxBuckets]atomic.Uint64 // durations up to the family's bound of that index, the last: beyond all

	family *family
	labels []string
	users  int // guarded by family.mu
}

// Begin counts a start.
func (r *RED) Begin() {
	if r != nil {
		r.begun.Add(1)
	}
}

// End counts the end of what Begin began, with its outcome: one of the
// constants of the part's kind, such as Answered.
func (r *RED) End(elapsed time.Duration, outcome Outcome) {
	if r == nil {
		return
	}
	r.nanos.Add(int64(elapsed))
	r.buckets[r.family.bucket(elapsed)].Add(1)
	r.outcomes[outcome].Add(1)
}

// Close gives the RED back. Once every user of the part has, its series are
// gone from what is exported, so that parts that came and went with generations
// leave nothing behind. Recording after that is harmless and lost.
func (r *RED) Close() {
	if r != nil {
		r.family.close(r)
	}
}

// Outcome is an index into the outcomes of one kind of part.
type Outcome uint8

// maxOutcomes is how many outcomes a kind of part has at most.
const maxOutcomes = len(decisionOutcomes)

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

// messageOutcomes are the label values of Informational to Failed.
var messageOutcomes = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "failed"}

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

// decisionOutcomes are the label values of Continued to Quarantined.
var decisionOutcomes = [...]string{
	"continued", "answered", "trapped", "timed_out", "overloaded", "misconfigured", "quarantined",
}

// OfStatus returns the outcome for a response's status, 101 to 599; Failed for
// anything else, which is no response.
func OfStatus(status int) Outcome {
	if status < 100 || status > 599 {
		return Failed
	}
	return Outcome(status/100 - 1)
}
