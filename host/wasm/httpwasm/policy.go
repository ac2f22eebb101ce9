package httpwasm

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Policy is an http-wasm module with one configuration.
type Policy struct {
	name      string
	config    string
	limits    manifest.Limits
	grants    []string
	granted   *policy.Granted
	bodies    rules
	supported feature // what a guest may enable
	always    feature // what policy.toml enables
	stateless bool    // the guest is given back while the upstream works
	oneWay    bool    // the guest is not asked about responses
	isolated  bool    // no guest serves two exchanges
	program   *wasm.Program
	image     *wasm.Image // of a guest that has started; nil: there is none
	features  feature     // of that guest
	plain     string      // why there is no image
	pool      *wasm.Pool[*guest]
	logger    *slog.Logger
	log       *wasm.Log
	held      wasm.Held
	ticks     atomic.Uint64
	sessions  sync.Pool
	again     chan struct{} // full: as many exchanges that have waited are at a guest as may be
}

var (
	_ policy.Policy       = (*Policy)(nil)
	_ policy.RequestHead  = (*Policy)(nil)
	_ policy.ResponseHead = (*Policy)(nil)
	_ policy.Failure      = (*Policy)(nil)
)

func newPolicy(engine *wasm.Engine, program *wasm.Program, spec *policy.Spec, bodies rules) *Policy {
	logger := spec.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &Policy{
		name:      spec.Name,
		config:    string(spec.Config),
		limits:    spec.Settings.Limits,
		grants:    spec.Settings.Grants,
		granted:   spec.Granted,
		bodies:    bodies,
		supported: trailers,
		stateless: spec.Artifact.File.Needs.Stateless || spec.Artifact.File.Needs.RequestOnly,
		oneWay:    spec.Artifact.File.Needs.RequestOnly,
		isolated:  spec.Settings.Isolation == "exchange",
		program:   program,
		logger:    logger,
		log:       wasm.NewLog(logger, spec.Settings.Limits.LogLines),
		again:     make(chan struct{}, max(1, spec.Settings.Limits.Instances/2)),
	}
	if bodies.request.mode != manifest.BodyNone {
		p.supported |= bufferRequest
	}
	if bodies.response.mode != manifest.BodyNone {
		p.supported |= bufferResponse
	}
	if held(bodies.request.mode) {
		p.always |= bufferRequest
	}
	if held(bodies.response.mode) {
		p.always |= bufferResponse
	}
	p.sessions.New = func() any { return &session{policy: p} }
	p.pool = wasm.NewPool(engine, wasm.PoolConfig[*guest]{
		Max:   spec.Settings.Limits.Instances,
		Wait:  spec.Settings.Limits.Wait.D(),
		Start: p.startGuest,
		Stop:  (*guest).stop,
	})
	return p
}

func held(m manifest.BodyMode) bool { return m == manifest.BodyPeek || m == manifest.BodyBuffer }

// Needs follows policy.Policy. The guest reads bodies while it handles a head,
// so the host around it holds none for it.
func (p *Policy) Needs() policy.Needs {
	return policy.Needs{RequestBody: passing(p.bodies.request), ResponseBody: passing(p.bodies.response)}
}

func passing(r bodyRule) manifest.BodyNeed {
	if r.mode == manifest.BodyNone {
		return manifest.BodyNeed{Mode: manifest.BodyNone}
	}
	return manifest.BodyNeed{Mode: manifest.BodyStream}
}

// Acquire follows policy.Policy: it lends a session with a guest.
func (p *Policy) Acquire(x *exchange.Exchange) (policy.Instance, error) {
	g, err := p.pool.Acquire(x.Context())
	if err != nil {
		return nil, p.failure(err)
	}
	s := p.sessions.Get().(*session)
	s.begin(g, x)
	return s, nil
}

// Release follows policy.Policy.
func (p *Policy) Release(i policy.Instance) {
	s := i.(*session)
	s.dropGuest()
	s.reset()
	p.sessions.Put(s)
}

// Stats follows policy.Policy.
func (p *Policy) Stats() policy.Stats {
	s := p.pool.Stats()
	return policy.Stats{
		Instances:   s.Instances,
		Busy:        s.Busy,
		MemoryBytes: p.held.Load(),
		Created:     s.Created,
		Discarded:   s.Discarded,
		Waits:       s.Waits,
		Overloads:   s.Overloads,
		LinesLost:   p.log.Lost(),
		Ticks:       p.ticks.Load(),
		Plain:       p.plain,
	}
}

// Close follows policy.Policy. When ctx ends while instances are still lent, it
// says so, and they end when they come back.
func (p *Policy) Close(ctx context.Context) error {
	err := p.pool.Close(ctx)
	if p.image != nil {
		err = errors.Join(err, p.image.Close(ctx))
	}
	err = errors.Join(err, p.program.Close(ctx))
	p.log.Close()
	return err
}

// OnRequestHead follows policy.RequestHead.
func (p *Policy) OnRequestHead(i policy.Instance, _ *exchange.Exchange) (policy.Verdict, error) {
	s := i.(*session)
	next, ctx, err := s.guest.handleRequest()
	for err == nil && s.awaited() {
		next, ctx, err = s.askAgain()
	}
	if err != nil {
		s.dropGuest()
		return policy.Continue, p.failure(err)
	}
	if !next {
		s.dropGuest()
		s.answer()
		return policy.Answer, nil
	}
	if p.stateless {
		s.dropGuest()
	}
	s.passed, s.ctx = true, ctx
	s.passRequest()
	return policy.Continue, nil
}

// OnResponseHead follows policy.ResponseHead.
func (p *Policy) OnResponseHead(i policy.Instance, _ *exchange.Exchange) error {
	_, err := i.(*session).respond(responsePhase)
	return err
}

// OnFailure follows policy.Failure: the guest sees the host's error as the
// response, with is_error set. It has answered if it set the status or wrote a
// body, which needs no feature here.
func (p *Policy) OnFailure(i policy.Instance, _ *exchange.Exchange) (policy.Verdict, error) {
	changed, err := i.(*session).respond(failurePhase)
	if changed && err == nil {
		return policy.Answer, nil
	}
	return policy.Continue, err
}

// failure makes the error of a call or of Acquire what the contract says. The
// sender's faults stay what they are; they are not the policy's.
func (p *Policy) failure(err error) error {
	var (
		broken *exchange.BodyError
		fault  *wasm.Fault
	)
	if errors.As(err, &broken) {
		return broken
	}
	if errors.Is(err, exchange.ErrBodyTooLarge) {
		return exchange.ErrBodyTooLarge
	}
	kind := policy.Overload
	if errors.As(err, &fault) {
		kind = kindOf(fault.Kind)
	}
	return &policy.Error{Kind: kind, Policy: p.name, Err: err}
}

// kindOf is what a guest's fault is to failure rules.
func kindOf(fault wasm.FaultKind) policy.Kind {
	switch fault {
	case wasm.TimedOut:
		return policy.Timeout
	case wasm.Unavailable:
		return policy.Overload
	}
	return policy.Trap
}
