package httpwasm

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

type phase uint8

const (
	requestPhase phase = iota
	responsePhase
	failurePhase
)

// session is what a policy keeps of one exchange. It outlives the guest that
// handled the request if the policy is stateless.
type session struct {
	policy   *Policy
	guest    *guest // nil once it failed, or while the upstream works
	x        *exchange.Exchange
	phase    phase
	features feature
	passed   bool   // handle_request let the exchange go on
	ctx      uint32 // what it wants to be told with the response

	request, response body
	status            int             // set by the guest in this phase; 0: not set
	fields            exchange.Header // of the response, set before there is one
	edits             [2]trailerEdits // of request and response, for when their body has ended
	edited            [2]bool         // a trailer of request, response
	grownFields       int             // set or added by the guest
	grownBytes        int             // of their names and values

	ready   *exchange.Response // an answer that a capability made; nil: the guest's
	instead bool               // a capability made the response of the phase at hand
	before  content            // of the response that it took the place of

	wait func() // what the request waits for before it is handled anew
	kept wasm.Ender
}

func (s *session) begin(g *guest, x *exchange.Exchange) {
	s.x = x
	s.features = g.features
	s.guest = g
	g.attach(s, x)
}

// enter begins the response or failure phase, once for an exchange, with what
// the guest set for it in advance. It reports false if there is none to begin.
func (s *session) enter(next phase) bool {
	if !s.passed || s.phase != requestPhase {
		return false
	}
	early := s.response.written
	s.phase = next
	s.status, s.response = 0, body{} // they were for an answer
	for _, f := range s.fields.Fields() {
		s.x.Response.Header.Add(f.Name, f.Value)
	}
	if next == responsePhase && len(early) > 0 {
		s.prefixResponse(early)
	}
	return true
}

// takeGuest sees to it that there is a guest: the one that handled the request,
// or another one if the policy is stateless.
func (s *session) takeGuest() error {
	if s.guest != nil {
		return nil
	}
	g, err := s.policy.pool.Acquire(s.x.Context())
	if err != nil {
		return err
	}
	s.guest = g
	g.attach(s, s.x)
	return nil
}

// respond has the guest handle the response and gives it back: it need not wait
// for the client to take the body. It reports whether the guest changed more
// than fields.
func (s *session) respond(in phase) (changed bool, err error) {
	if !s.enter(in) {
		return false, nil
	}
	if s.policy.oneWay {
		s.finishResponse()
		return false, nil
	}
	if err := s.takeGuest(); err != nil {
		return false, s.policy.failure(err)
	}
	defer s.dropGuest()
	if err := s.holdResponse(); err != nil {
		return false, err
	}
	if err := s.guest.handleResponse(s.ctx, in == failurePhase); err != nil {
		if s.kept != nil {
			s.kept.Fail()
		}
		s.settle(true)
		return false, s.policy.failure(err)
	}
	changed = s.finishResponse()
	s.settle(false)
	return changed, nil
}

// dropGuest gives the guest back, if there is one.
func (s *session) dropGuest() {
	if g := s.guest; g != nil {
		s.guest = nil
		g.detach()
		s.policy.pool.Release(g, !g.serveAgain())
	}
}

// reset makes the session ready for another exchange.
func (s *session) reset() {
	s.closeReady()
	if s.kept != nil {
		s.kept.End()
	}
	fields := s.fields
	fields.Reset()
	*s = session{policy: s.policy, fields: fields}
}

// mustNotHavePassed traps what only makes sense before the request went on.
func (s *session) mustNotHavePassed(what string) {
	if s.phase != requestPhase {
		trap("the %s can't be set: the request went on", what)
	}
}
