package tier

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// refusal is how the first policy that counts in a stage of kind any did not let
// pass.
type refusal struct {
	set      bool
	answer   exchange.Response // of the policy at index answered
	answered int
	failure  *exchange.Failure // if it broke instead
}

// anyOf is a stage where the first policy that lets pass is enough. Each trial
// begins with the request as it came. A policy that breaks does not let pass,
// whatever its rule: with skip it does not count, and if none counts the
// exchange is denied. When none lets pass, the first one's answer stands, or its
// failure.
func (w *Walk) anyOf(s *stage, x *exchange.Exchange) turn {
	var first refusal
	var skipped *exchange.Failure
	w.request.take(x, s.keep)
	defer w.request.settle(x)
	for i := range s.uses {
		u := &s.uses[i]
		p, verdict, err := w.meet(u, x)
		if err == nil && verdict == policy.Continue {
			w.discard(&first)
			return goesOn
		}
		if err == nil {
			w.refuse(&first, p, x)
		} else {
			j := w.blame(u, p, err)
			if j.final && !isTooLarge(j.failure) {
				w.discard(&first)
				w.failure = j.failure
				return failed
			}
			if j.failure == nil && skipped == nil {
				skipped = w.denied(u, j, err)
			}
			if j.failure != nil && !first.set {
				first = refusal{set: true, failure: j.failure}
			}
		}
		if !w.request.restore(x) {
			w.discard(&first)
			w.failure = w.tooLarge(exchange.ErrBodyTooLarge)
			w.failure.Stage = s.name
			return failed
		}
	}
	return w.refused(&first, skipped, x)
}

// refuse takes an answer off the exchange, and keeps it if it is the first one.
func (w *Walk) refuse(first *refusal, p *passage, x *exchange.Exchange) {
	if first.set {
		w.finish(p)
		closeResponse(&x.Response)
		x.Response = exchange.Response{}
		return
	}
	*first = refusal{set: true, answer: x.Response, answered: len(w.passed) - 1}
	x.Response = exchange.Response{}
}

// discard drops the first refusal: another policy let the exchange pass.
func (w *Walk) discard(first *refusal) {
	if first.set && first.failure == nil {
		closeResponse(&first.answer)
		w.finish(&w.passed[first.answered])
	}
}

// refused ends a stage in which nobody let the exchange pass.
func (w *Walk) refused(first *refusal, skipped *exchange.Failure, x *exchange.Exchange) turn {
	switch {
	case first.set && first.failure == nil:
		x.Response = first.answer
		w.answer(&w.passed[first.answered], x)
		return answered
	case first.set:
		w.failure = first.failure
		return failed
	case skipped != nil:
		w.failure = skipped
		return failed
	}
	return goesOn // a stage without policies
}

// denied is the failure of a policy as if its rule were deny.
func (w *Walk) denied(u *use, j fault, err error) *exchange.Failure {
	d := &denials[j.kind]
	return &exchange.Failure{
		Cause: d.cause, Status: d.status, RetryAfter: d.retry,
		Tier: w.tier.name, Stage: u.stage.name, Policy: u.slot.Name, Err: err,
	}
}

func isTooLarge(f *exchange.Failure) bool { return f != nil && f.Cause == exchange.CauseBody }

// closeResponse closes what a response that is not sent holds.
func closeResponse(r *exchange.Response) {
	if r.Body != nil {
		r.Body.Close()
	}
	if r.Tunnel != nil {
		r.Tunnel.Close()
	}
}
