package tier

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// turn is where an exchange stands after a stage.
type turn uint8

const (
	goesOn   turn = iota
	answered      // Exchange.Response is a policy's answer
	failed        // Walk.failure says why
)

// Request takes the exchange through the request phases, first to last. If a
// policy answered, x.Response is the answer and x.AnsweredBy its name. A failure
// is for the caller to make the response, with Exchange.Fail. In every case
// Response and Done follow.
func (t *Tier) Request(w *Walk, x *exchange.Exchange) (isAnswered bool, f *exchange.Failure) {
	return t.RequestFrom(w, x, Place{})
}

// Place is that of a policy's use in a tier. The zero value is before the first one.
type Place struct {
	stage, use int
	met        bool // an exchange was there: the stage's condition held for it
}

// Here returns the place of the policy that has the exchange's request at hand. It
// reports false if none has.
func (w *Walk) Here() (Place, bool) {
	if w.at == nil || w.stage == nil {
		return Place{}, false
	}
	return w.at.place, true
}

// RequestFrom is Request from a place of the same tier on. The stage of that place is
// met whatever its condition says of the request by now. A stage of kind any is met as
// a whole: that one of its policies let an exchange pass says nothing of the others.
func (t *Tier) RequestFrom(w *Walk, x *exchange.Exchange, from Place) (isAnswered bool, f *exchange.Failure) {
	w.begin(t, x)
	for i := from.stage; i < len(t.stages); i, from = i+1, (Place{}) {
		s := &t.stages[i]
		if !from.met && !s.when.Match(x) {
			continue
		}
		if turned := w.through(s, from.use, x); turned != goesOn {
			return turned == answered, w.failure
		}
	}
	return false, nil
}

// through takes the exchange through one stage, from one of its uses on.
func (w *Walk) through(s *stage, first int, x *exchange.Exchange) turn {
	if w.failure = w.ended(); w.failure != nil {
		w.failure.Stage = s.name
		return failed
	}
	w.enterStage(s, x)
	defer w.leaveStage(x)
	if s.maxBody > 0 && !boundBody(x, s.maxBody) {
		w.failure = w.tooLarge(exchange.ErrBodyTooLarge)
		w.failure.Stage = s.name
		return failed
	}
	if s.any {
		return w.anyOf(s, x)
	}
	return w.allOf(s, first, x)
}

func (w *Walk) enterStage(s *stage, x *exchange.Exchange) {
	w.stage, w.stageBegan, w.stageOutcome = s, x.Now, telemetry.Continued
	s.red.Begin()
	if s.timeout > 0 {
		w.stageUntil = w.stageBegan + s.timeout
		x.Life().Narrow(w.stageUntil)
	}
}

func (w *Walk) leaveStage(x *exchange.Exchange) {
	s := w.stage
	w.stage = nil
	if s.timeout > 0 {
		x.Life().Widen(w.until)
	}
	s.red.End(x.Now-w.stageBegan, w.stageOutcome)
}

// allOf is a stage that every policy must let pass.
func (w *Walk) allOf(s *stage, first int, x *exchange.Exchange) turn {
	for i := first; i < len(s.uses); i++ {
		u := &s.uses[i]
		if u.undoRequest {
			w.request.take(x, u.keepRequest)
		}
		p, verdict, err := w.meet(u, x)
		ok := err == nil || w.skip(u, p, x, err)
		if u.undoRequest {
			w.request.settle(x)
		}
		switch {
		case !ok:
			return failed
		case err == nil && verdict == policy.Answer:
			w.answer(p, x)
			return answered
		}
	}
	return goesOn
}

// skip reports whether the exchange goes on without a policy that failed, with
// everything as it was before; otherwise w.failure says why not. p is nil if the
// policy was not called.
func (w *Walk) skip(u *use, p *passage, x *exchange.Exchange, err error) bool {
	j := w.blame(u, p, err)
	if j.failure != nil {
		w.failure = j.failure
		return false
	}
	if p != nil && !w.request.restore(x) {
		w.failure = w.denied(u, j, err)
		return false
	}
	return true
}

// meet takes the exchange through the request phases of one policy. p is nil if
// the policy was not called.
func (w *Walk) meet(u *use, x *exchange.Exchange) (p *passage, verdict policy.Verdict, err error) {
	w.at = u
	p, err = w.acquire(u, x)
	if err != nil {
		return nil, 0, err
	}
	if x.Sampled {
		verdict, err = w.requestTraced(p, x)
	} else {
		verdict, err = w.requestPhases(p, x)
	}
	w.lap(p)
	if err == nil && verdict == policy.Continue {
		w.pass(p)
	}
	return p, verdict, err
}

// requestPhases runs the head phase, and the body phase if the policy asks for
// the body and did not answer before.
func (w *Walk) requestPhases(p *passage, x *exchange.Exchange) (verdict policy.Verdict, err error) {
	u := p.use
	if u.requestHead != nil {
		verdict, err = u.requestHead.OnRequestHead(p.inst, x)
	}
	if u.requestBody == nil || err != nil || verdict == policy.Answer {
		return verdict, err
	}
	need := u.requestNeed
	if u.bodyBound != nil && !narrow(&need, u.bodyBound.RequestBound(p.inst)) {
		return verdict, nil
	}
	if err := w.holdRequestBody(need, x); err != nil {
		return verdict, err
	}
	verdict, err = u.requestBody.OnRequestBody(p.inst, x)
	w.returnRequestBody(x)
	return verdict, err
}

// acquire borrows an instance of u's policy if it may be called now.
func (w *Walk) acquire(u *use, x *exchange.Exchange) (*passage, error) {
	if u.policy == nil {
		return nil, &policy.Error{Kind: u.slot.Failed, Policy: u.slot.Name, Err: u.slot.loadError()}
	}
	gate := u.slot.quarantine.admit(x.Now)
	if gate.refused {
		return nil, &quarantined{gate.kind, gate.wait}
	}
	if w.stageOver() {
		return nil, &policy.Error{Kind: policy.Timeout, Policy: u.slot.Name, Err: errStageDeadline}
	}
	inst, err := u.policy.Acquire(x)
	if err != nil {
		x.Lap()
		return nil, err
	}
	u.red.Begin()
	w.passed = append(w.passed, passage{use: u, inst: inst, held: true, probe: gate.probe})
	return &w.passed[len(w.passed)-1], nil
}

// pass keeps what the rest of the exchange needs of a policy that let it pass.
func (w *Walk) pass(p *passage) {
	u := p.use
	p.sees = u.sees
	p.done = u.done != nil
	if !u.sees {
		p.passed()
		if !u.held {
			w.finish(p)
		}
	}
}

// answer makes p's answer the exchange's. Its instance stays for the answer's
// stream and for done, but sees no response.
func (w *Walk) answer(p *passage, x *exchange.Exchange) {
	u := p.use
	x.AnsweredBy = u.slot.Name
	p.outcome = telemetry.Answered
	w.note(p.outcome)
	u.slot.passed(p.probe)
	p.done = u.done != nil
	if !u.held {
		w.finish(p)
	}
}

// blame judges an error and lets go of the instance that it came from, if any.
func (w *Walk) blame(u *use, p *passage, err error) fault {
	j := w.judge(u, p, err)
	w.note(j.outcome)
	if p != nil {
		p.outcome = j.outcome
		w.finish(p)
	} else {
		u.red.Begin()
		u.red.End(0, j.outcome)
	}
	return j
}
