package tier

import (
	"errors"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Response takes the exchange back through the policies that its request passed,
// last to first. Where x.Failure is set, the Failure phase may answer, and
// policies before it see an ordinary response.
//
// A policy that fails here has its rule applied at once: with skip the response
// is what it was before that policy, bytes of a streamed body apart; otherwise
// the host's clean error takes its place (Exchange.Fail) and earlier policies see
// that. A response body that is larger than a policy may hold is 502. In an
// exchange that has failed already, a policy that fails changes nothing.
//
// After it the tier's deadline no longer holds, and x.Failure says what became
// of the exchange.
func (t *Tier) Response(w *Walk, x *exchange.Exchange) {
	if w.tier == nil {
		return
	}
	w.responding = true
	if x.Failure != nil {
		w.nameTooLarge(x)
	}
	for i := len(w.passed) - 1; i >= 0; i-- {
		p := &w.passed[i]
		if err := p.fault(); err != nil {
			w.breakOff(p, x, err)
		}
		if p.sees {
			w.meetResponse(p, x)
		}
	}
	w.watchTrailers(x)
	w.headOut(x)
}

// nameTooLarge gives a failure its true cause if the request's body turned out to
// be larger than a stage allows while it was being sent on.
func (w *Walk) nameTooLarge(x *exchange.Exchange) {
	f := x.Failure
	if f.Cause != exchange.CauseBody && errors.Is(f.Err, exchange.ErrBodyTooLarge) {
		x.Fail(&exchange.Failure{Cause: exchange.CauseBody, Status: 413, Tier: w.tier.name, Err: f.Err})
	}
}

// fault returns why a policy failed on a body that was on its way.
func (p *passage) fault() error {
	if !p.held || p.use.bodyFault == nil {
		return nil
	}
	return p.use.bodyFault.BodyFault(p.inst)
}

// passed counts an exchange that the policy took without failing. One of which it
// can still fail on a body counts at its end.
func (p *passage) passed() {
	if p.use.bodyFault == nil || !p.use.held {
		p.use.slot.passed(p.probe)
	}
}

// breakOff applies the failure rule of a policy that failed on the request's body
// while it was being sent on. It can't be skipped any more.
func (w *Walk) breakOff(p *passage, x *exchange.Exchange, err error) {
	u := p.use
	j := w.blame(u, p, err)
	if j.failure == nil {
		j.failure = w.denied(u, j, err)
	}
	x.Fail(j.failure)
}

// meetResponse takes the exchange through the response phases of one policy.
func (w *Walk) meetResponse(p *passage, x *exchange.Exchange) {
	p.sees = false
	u := p.use
	if u.undoResponse {
		w.response.take(x, u.keepResponse)
	}
	var err error
	if x.Sampled {
		err = w.responseTraced(p, x)
	} else {
		err = w.responsePhases(p, x)
	}
	w.lap(p)
	if err != nil {
		w.mend(p, x, err)
	}
	if u.undoResponse {
		w.response.settle(x)
	}
	if err != nil {
		return
	}
	p.passed()
	p.trails = u.trailers != nil
	if !u.held {
		w.finish(p)
	}
}

// responsePhases runs the failure phase of a failed exchange, and otherwise, or
// if the policy has none, the response's head and body.
func (w *Walk) responsePhases(p *passage, x *exchange.Exchange) error {
	u := p.use
	if x.Failure != nil && u.failure != nil {
		verdict, err := u.failure.OnFailure(p.inst, x)
		if err == nil && verdict == policy.Answer {
			x.Failure, x.AnsweredBy = nil, u.slot.Name
			p.outcome = telemetry.Answered
			w.note(p.outcome)
		}
		return err
	}
	if u.responseHead != nil {
		if err := u.responseHead.OnResponseHead(p.inst, x); err != nil {
			return err
		}
	}
	if u.responseBody == nil || x.Response.Endless() {
		return nil
	}
	need := u.responseNeed
	if u.bodyBound != nil && !narrow(&need, u.bodyBound.ResponseBound(p.inst)) {
		return nil
	}
	if err := w.holdResponseBody(need, x); err != nil {
		return err
	}
	err := u.responseBody.OnResponseBody(p.inst, x)
	w.returnResponseBody(x)
	return err
}

// mend applies the failure rule of a policy that failed on the response.
func (w *Walk) mend(p *passage, x *exchange.Exchange, err error) {
	u := p.use
	j := w.blame(u, p, err)
	switch {
	case x.Failure != nil:
		x.Fail(x.Failure)
	case j.failure != nil:
		x.Fail(j.failure)
	case !w.response.restore(x):
		x.Fail(w.denied(u, j, err))
	}
}
