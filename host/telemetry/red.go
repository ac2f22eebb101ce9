package telemetry

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// RED is the rate, errors and duration of one part of the host: a listener, a
// tier, a stage, a policy, an upstream. What its series are called was decided
// when it was made, so that recording costs four atomic adds and no allocation.
// It is safe for concurrent use; a nil *RED records nothing.
type RED struct {
	tallies []tally // a power of two

	family *family
	labels []string
	users  int // guarded by family.mu
}

// tally is what some of the goroutines count. One for all would be carried from
// core to core at each exchange.
type tally struct {
	begun    atomic.Uint64
	nanos    atomic.Int64 // the sum of all durations
	outcomes [maxOutcomes]atomic.Uint64
	buckets  [maxBuckets]atomic.Uint64 // durations up to the family's bound of that index, the last: beyond all

	_ [64]byte // what cores write to is apart
}

// maxTallies bounds the memory of a part, at 5 KiB.
const maxTallies = 16

func newRED(f *family, labels []string) *RED {
	n := 1
	for n < min(4*runtime.GOMAXPROCS(0), maxTallies) { // so that few share one by chance
		n *= 2
	}
	return &RED{tallies: make([]tally, n), family: f, labels: labels}
}

// tally returns where this goroutine counts. Who it is shows in where its stack
// lies, which costs nothing to know; one that moves on counts elsewhere.
func (r *RED) tally() *tally {
	var here byte
	const golden, stack = 0x9e3779b97f4a7c15, 13 // stacks begin 8 KiB apart, or more
	spread := uint64(uintptr(unsafe.Pointer(&here))>>stack) * golden >> 32
	return &r.tallies[spread&uint64(len(r.tallies)-1)]
}

// Begin counts a start.
func (r *RED) Begin() {
	if r != nil {
		r.tally().begun.Add(1)
	}
}

// End counts the end of what Begin began, with its outcome: one of the
// constants of the part's kind, such as Answered.
func (r *RED) End(elapsed time.Duration, outcome Outcome) {
	if r == nil {
		return
	}
	t := r.tally()
	t.nanos.Add(int64(elapsed))
	t.buckets[r.family.bucket(elapsed)].Add(1)
	t.outcomes[outcome].Add(1)
}

// totals is what all goroutines have counted.
type totals struct {
	begun, ended uint64
	nanos        int64
	outcomes     [maxOutcomes]uint64
	buckets      [maxBuckets]uint64
}

// totals reads ends before starts, so that what ends meanwhile never makes fewer
// starts than ends.
func (r *RED) totals() *totals {
	sum := new(totals)
	for i := range r.tallies {
		t := &r.tallies[i]
		for o := range t.outcomes {
			n := t.outcomes[o].Load()
			sum.outcomes[o] += n
			sum.ended += n
		}
		for b := range t.buckets {
			sum.buckets[b] += t.buckets[b].Load()
		}
		sum.nanos += t.nanos.Load()
	}
	for i := range r.tallies {
		sum.begun += r.tallies[i].begun.Load()
	}
	return sum
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

// Outcomes of a call that a policy makes.
const (
	Responded    Outcome = iota // of whatever status
	CallRefused                 // not granted, to a special address, or no request at all
	CallBusy                    // as many as may be were under way
	CallTimedOut                // no whole response in time
	CallTooLarge                // its request or its response
	CallFailed                  // not reached, or broken off
)

// callOutcomes are the label values of Responded to CallFailed.
var callOutcomes = [...]string{"responded", "refused", "busy", "timed_out", "too_large", "failed"}

// OfStatus returns the outcome for a response's status, 101 to 599; Failed for
// anything else, which is no response.
func OfStatus(status int) Outcome {
	if status < 100 || status > 599 {
		return Failed
	}
	return Outcome(status/100 - 1)
}
