package tier

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Walk is the state of one exchange in one tier, from Request to Done. The zero
// value is ready for use, and after Done it is ready for the next exchange with
// the memory it has; keep it in a pool. It belongs to the goroutine that carries
// the exchange and must not be copied.
type Walk struct {
	tier   *Tier // nil: nothing is under way
	x      *exchange.Exchange
	passed []passage // in order

	began      time.Duration     // all times are on exchange.Clock; now is x.Now
	outcome    telemetry.Outcome // the worst so far
	failure    *exchange.Failure // that Request returns
	responding bool              // the request phases are over
	open       bool              // the response's head is not out yet

	// The deadline of the exchange's life within the tier and before it; 0: none.
	until, untilBefore time.Duration

	at *use // that has the exchange at hand, or met it last

	stage        *stage // under way
	stageBegan   time.Duration
	stageOutcome telemetry.Outcome
	stageUntil   time.Duration // deadline within the stage; meaningful if it has a timeout

	request  savedRequest
	response savedResponse
	empty    exchange.Buffered // stands for a body that is not there
	trailers trailerBody
	span     trace.Span      // nil: not sampled
	outer    context.Context // the exchange's before span
}

// passage is a policy that an exchange has met, with the instance it was lent.
type passage struct {
	use     *use
	inst    policy.Instance
	spent   time.Duration
	outcome telemetry.Outcome
	held    bool // the instance is not given back yet
	sees    bool // the response is still to come
	trails  bool // the response's trailers are still to come
	done    bool // the done phase is still to come
	probe   bool // it tries whether the policy is well again
}

// begin starts the walk of x through t.
func (w *Walk) begin(t *Tier, x *exchange.Exchange) {
	w.tier, w.x, w.open = t, x, true
	w.began = x.Now
	t.red.Begin()
	if x.Sampled {
		w.startSpan(x)
	}
	life := x.Life()
	if t.timeout > 0 {
		w.untilBefore = life.Narrow(w.began + t.timeout)
		w.until = earlier(w.untilBefore, w.began+t.timeout)
	} else {
		w.until = life.Until()
	}
}

// earlier returns the deadline that holds of two, of which the first may be 0 for
// none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// lap adds the time since the last lap to what p has spent.
func (w *Walk) lap(p *passage) {
	before := w.x.Now
	p.spent += w.x.Lap() - before
}

// note keeps the worst outcome.
func (w *Walk) note(o telemetry.Outcome) {
	w.outcome = max(w.outcome, o)
	w.stageOutcome = max(w.stageOutcome, o)
}

// finish gives an instance back; it does nothing the second time.
func (w *Walk) finish(p *passage) {
	if !p.held {
		return
	}
	inst := p.inst
	p.inst, p.held, p.sees, p.trails, p.done = nil, false, false, false, false
	p.use.red.End(p.spent, p.outcome)
	p.use.policy.Release(inst)
}

// ended returns the failure of an exchange whose client is gone or whose time in
// the tier is over; nil if it goes on.
func (w *Walk) ended() *exchange.Failure {
	// The deadline comes first: it may have ended a read, and with that, by way of
	// the client's connection, the life around it too.
	if w.until != 0 && w.x.Now >= w.until {
		return w.tier.ended(context.DeadlineExceeded)
	}
	if life := w.x.Life(); life.Ended() {
		return w.tier.ended(life.Cause())
	}
	return nil
}

// headOut ends what is measured up to the response's head: deadline, span and
// duration. Bodies go on without a deadline of the tier's.
func (w *Walk) headOut(x *exchange.Exchange) {
	if !w.open {
		return
	}
	w.open = false
	if w.tier.timeout > 0 {
		x.Life().Widen(w.untilBefore)
	}
	if w.span != nil {
		w.endSpan(x)
	}
	w.tier.red.End(x.Now-w.began, w.outcome)
	if w.tier.breaker != nil {
		panicked := !w.responding
		w.tier.breaker.count(w.began, x.Now, panicked || w.tier.isBlamed(x.Failure))
	}
}

// isBlamed reports whether a failure counts against the tier's breaker. The edge
// is not to blame for what happened behind it: it has to keep answering.
func (t *Tier) isBlamed(f *exchange.Failure) bool {
	if f == nil || f.Status < 500 {
		return false
	}
	return f.Tier == t.name || f.Tier == "" && t.name == "service"
}

// Done runs the done phases, after the last byte of the response or of nothing,
// if there was none, and gives all instances back. It may be called when Request
// was not, and after a panic.
func (t *Tier) Done(w *Walk, x *exchange.Exchange) {
	if w.tier == nil {
		return
	}
	defer w.reset()
	w.headOut(x)
	if len(w.passed) > 0 {
		x.Lap() // bytes were sent
	}
	for i := len(w.passed) - 1; i >= 0; i-- {
		p := &w.passed[i]
		if err := p.fault(); err != nil {
			w.blame(p.use, p, err) // the head is out: nothing can be said to the client
		} else if p.held && !p.sees && p.use.bodyFault != nil {
			p.use.slot.passed(p.probe)
		}
		if p.done {
			p.done = false
			p.use.done.OnDone(p.inst, x)
			w.lap(p)
		}
		w.finish(p)
	}
}

// maxPassages bounds the memory that a Walk keeps for the next exchange.
const maxPassages = 256

// reset gives back what Done could not and makes w ready for the next exchange.
func (w *Walk) reset() {
	for i := range w.passed {
		w.finish(&w.passed[i])
	}
	clear(w.passed)
	w.passed = w.passed[:0]
	if cap(w.passed) > maxPassages {
		w.passed = nil
	}
	w.request.reset()
	w.response.reset()
	w.trailers.end()
	w.tier, w.x, w.outer, w.failure, w.stage, w.span = nil, nil, nil, nil, nil, nil
	w.outcome, w.stageOutcome = 0, 0
	w.responding, w.open = false, false
	w.at = nil
}
