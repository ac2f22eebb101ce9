package tier

import (
	"context"
	"errors"
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
	tier   *Tier           // nil: nothing is under way
	outer  context.Context // the exchange's before the tier's own deadline and span
	passed []passage       // in order

	began, now time.Duration
	outcome    telemetry.Outcome // the worst so far
	failure    *exchange.Failure // that Request returns
	responding bool              // the request phases are over
	open       bool              // the response's head is not out yet

	stage        *stage // under way
	stageBegan   time.Duration
	stageOutcome telemetry.Outcome

	limit      *deadline // the tier's
	stageLimit *deadline // the stage's

	request  savedRequest
	response savedResponse
	empty    exchange.Buffered // stands for a body that is not there
	trailers trailerBody
	span     trace.Span // nil: not sampled
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
	w.tier, w.outer, w.open = t, x.Context(), true
	w.began = now()
	w.now = w.began
	t.red.Begin()
	if x.Sampled {
		w.startSpan(x)
	}
	if t.timeout > 0 {
		w.limit = arm(w.limit, x.Context(), t.timeout)
		x.SetContext(w.limit)
	}
}

// lap adds the time since the last lap to what p has spent.
func (w *Walk) lap(p *passage) {
	t := now()
	p.spent += t - w.now
	w.now = t
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
// the tier is over at w.now; nil if it goes on.
func (w *Walk) ended() *exchange.Failure {
	// The deadline comes first: it may have ended a read, and with that, by way of
	// the client's connection, the context around it too.
	if w.tier.timeout > 0 && w.now-w.began >= w.tier.timeout {
		return w.tier.ended(context.DeadlineExceeded)
	}
	if err := w.outer.Err(); errors.Is(err, context.DeadlineExceeded) {
		return w.tier.ended(err)
	} else if err != nil {
		return w.tier.ended(context.Cause(w.outer))
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
		w.limit.disarm()
	}
	x.SetContext(w.outer)
	if w.span != nil {
		w.endSpan(x)
	}
	w.tier.red.End(now()-w.began, w.outcome)
	panicked := !w.responding
	w.tier.breaker.count(w.began, now(), panicked || w.tier.isBlamed(x.Failure))
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
	w.now = now()
	for i := len(w.passed) - 1; i >= 0; i-- {
		p := &w.passed[i]
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
	w.tier, w.outer, w.failure, w.stage, w.span = nil, nil, nil, nil, nil
	w.outcome, w.stageOutcome = 0, 0
	w.responding, w.open = false, false
}
