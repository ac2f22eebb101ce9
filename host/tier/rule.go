package tier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Kinds of manifest.Action; the zero value denies.
const (
	actionSkip    = "skip"
	actionRespond = "respond"
)

// Rules returns the failure rules of a use: its own, or else the stage's. A
// policy of family auth takes only its own, so that a stage that may be skipped
// does not switch authentication off.
func Rules(stage, own *manifest.OnError, family string) manifest.OnError {
	switch {
	case own != nil:
		return *own
	case stage != nil && family != "auth":
		return *stage
	}
	return manifest.OnError{}
}

// denials say what a denied exchange is told, by the kind of the policy's
// failure. What may pass by itself names a time to come back; a policy that is
// not there or broke is the operator's to mend.
var denials = [...]struct {
	cause   exchange.Cause
	status  int
	retry   time.Duration
	outcome telemetry.Outcome
}{
	policy.Load:     {exchange.CausePolicy, 500, 0, telemetry.Misconfigured},
	policy.Config:   {exchange.CausePolicy, 500, 0, telemetry.Misconfigured},
	policy.Trap:     {exchange.CausePolicy, 500, 0, telemetry.Trapped},
	policy.Timeout:  {exchange.CausePolicy, 504, 0, telemetry.TimedOut},
	policy.Overload: {exchange.CauseOverload, 503, time.Second, telemetry.Overloaded},
}

// Reasons for which a policy is not called.
var (
	errQuarantined   = errors.New("in quarantine after repeated failures")
	errStageDeadline = errors.New("the stage's deadline has passed")
)

// quarantined is the error of a policy that is not called for a while.
type quarantined struct {
	kind policy.Kind   // of its last failure
	wait time.Duration // until it is tried again
}

func (q *quarantined) Error() string {
	return fmt.Sprintf("%v (%v), tried again in %v", errQuarantined, q.kind, q.wait)
}

func (q *quarantined) Is(target error) bool { return target == errQuarantined }

// fault is what an error of a policy's phase comes to.
type fault struct {
	failure *exchange.Failure // nil: the rule says to go on without the policy
	kind    policy.Kind       // whose rule applied, unless final
	outcome telemetry.Outcome
	final   bool // it is the exchange that broke, not the policy: no rule applies
}

// judge finds out who is to blame for an error and what its rule makes of it. p
// is nil if the policy was not called.
func (w *Walk) judge(u *use, p *passage, err error) fault {
	w.x.Lap()
	if f := w.notItsFault(err); f != nil {
		f.Stage = u.stage.name
		j := fault{failure: f, final: true}
		if f.Cause == exchange.CauseTimeout {
			j.outcome = telemetry.TimedOut
		}
		return j
	}
	var (
		closed *quarantined
		typed  *policy.Error
	)
	j := fault{kind: policy.Trap}
	f := &exchange.Failure{Tier: w.tier.name, Stage: u.stage.name, Policy: u.slot.Name, Err: err}
	switch {
	case errors.As(err, &closed):
		j.kind, j.outcome = closed.kind, telemetry.Quarantined
		f.Cause, f.Status, f.RetryAfter = exchange.CausePolicy, 503, atLeastSecond(closed.wait)
	default:
		if errors.As(err, &typed) {
			j.kind = typed.Kind
		}
		d := &denials[j.kind]
		j.outcome = d.outcome
		f.Cause, f.Status, f.RetryAfter = d.cause, d.status, d.retry
		if errors.Is(err, errStageDeadline) {
			f.Cause = exchange.CauseTimeout
		} else if j.kind != policy.Load && j.kind != policy.Config && (typed == nil || !typed.Secondary) {
			u.slot.failed(w.x.Now, j.kind, err, p != nil && p.probe)
		}
	}
	switch rule := u.rules[j.kind]; rule.Kind {
	case actionSkip:
		f = nil
	case actionRespond:
		f.Status = rule.Status
	}
	j.failure = f
	return j
}

// notItsFault returns the failure of an exchange whose bodies, client or
// deadline broke; nil if err is the policy's own.
func (w *Walk) notItsFault(err error) *exchange.Failure {
	var (
		whole *exchange.Failure
		body  *exchange.BodyError
	)
	if errors.Is(err, exchange.ErrBodyTooLarge) {
		return w.tooLarge(err)
	}
	if errors.As(err, &whole) {
		f := *whole
		return &f
	}
	f := w.ended()
	switch broken := errors.As(err, &body); {
	case broken && w.stageOver():
		return w.tier.ended(context.DeadlineExceeded)
	case broken && !body.Response && isSilence(err) && (f == nil || f.Cause == exchange.CauseClient):
		// Giving up a silent client ends its context too.
		return &exchange.Failure{Cause: exchange.CauseClient, Status: 408, Tier: w.tier.name, Err: err}
	case f != nil || !broken:
		return f
	case body.Response:
		return &exchange.Failure{Cause: exchange.CauseReset, Status: 502, Tier: w.tier.name, Err: err}
	}
	return &exchange.Failure{Cause: exchange.CauseClient, Status: 400, Tier: w.tier.name, Err: err}
}

// isSilence reports whether a body ended because its sender was silent for too
// long (exchange.BodyError).
func isSilence(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// stageOver reports whether the deadline of the stage at hand has passed.
func (w *Walk) stageOver() bool {
	return w.stage != nil && w.stage.timeout > 0 && w.x.Now >= w.stageUntil
}

// tooLarge answers for a body over a bound: 413 if it is the client's, 502 if it
// is the upstream's.
func (w *Walk) tooLarge(err error) *exchange.Failure {
	f := &exchange.Failure{Cause: exchange.CauseBody, Status: 413, Tier: w.tier.name, Err: err}
	if w.responding {
		f.Status = 502
	}
	return f
}

// ended says why an exchange whose life has ended with cause cannot go on: the
// client went away (499), a deadline passed (504), or whoever made the context
// ended it (503).
func (t *Tier) ended(cause error) *exchange.Failure {
	f := &exchange.Failure{Tier: t.name, Err: cause}
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		f.Cause, f.Status = exchange.CauseTimeout, 504
	case errors.Is(cause, context.Canceled):
		f.Cause, f.Status = exchange.CauseClient, 499
	default:
		f.Cause, f.Status, f.RetryAfter = exchange.CauseTimeout, 503, time.Second
	}
	return f
}
