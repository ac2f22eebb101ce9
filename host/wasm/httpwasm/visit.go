package httpwasm

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

var _ wasm.Visit = (*session)(nil)

// Respond follows wasm.Visit. What the guest has set or written so far is dropped.
func (s *session) Respond(r *exchange.Response) *exchange.Header {
	s.status, s.grownFields, s.grownBytes = r.Status, 0, 0
	if s.phase == requestPhase {
		s.closeReady()
		s.response.written, s.response.replaced = nil, false
		s.fields.CopyFrom(&r.Header)
		s.ready = r
		return &s.fields
	}
	to := &s.x.Response
	if s.instead {
		content{to.Body, to.Tunnel}.close()
	} else {
		s.instead, s.before = true, content{to.Body, to.Tunnel}
	}
	s.response = body{}
	to.Status, to.Body, to.Length, to.Tunnel = r.Status, r.Body, r.Length, nil
	to.Header.CopyFrom(&r.Header)
	to.Trailer.CopyFrom(&r.Trailer)
	return &to.Header
}

// settle says what became of a response phase in which a capability made the response.
// What that took the place of is needed until then: whoever goes on without a policy
// that failed, goes on with it.
func (s *session) settle(failed bool) {
	if !s.instead {
		return
	}
	r := &s.x.Response
	drop := s.before
	if failed {
		drop = content{r.Body, r.Tunnel}
		r.Body, r.Tunnel = s.before.body, s.before.tunnel
	}
	drop.close()
	s.instead, s.before = false, content{}
}

// content is what a response holds open.
type content struct {
	body   io.ReadCloser
	tunnel io.ReadWriteCloser
}

// close closes what nobody will have. The errors are nobody's either.
func (c content) close() {
	if c.body != nil {
		_ = c.body.Close()
	}
	if c.tunnel != nil {
		_ = c.tunnel.Close()
	}
}

// answerReady makes what a capability has ready the response, unless the guest has written
// another body since.
func (s *session) answerReady() bool {
	from := s.ready
	if from == nil || s.response.replaced {
		return false
	}
	s.ready = nil
	r := &s.x.Response
	r.Status, r.Body, r.Length = s.status, from.Body, from.Length
	r.Header.CopyFrom(&s.fields)
	r.Trailer.CopyFrom(&from.Trailer)
	return true
}

func (s *session) closeReady() {
	if s.ready != nil && s.ready.Body != nil {
		_ = s.ready.Body.Close()
	}
	s.ready = nil
}

// Await follows wasm.Visit.
func (s *session) Await(wait func()) bool {
	if s.phase != requestPhase || s.passed {
		return false
	}
	s.wait = wait
	return true
}

// awaited waits for what the guest has asked for, if it has, without a guest, and reports
// whether the request is to be handled anew.
func (s *session) awaited() bool {
	wait := s.wait
	if wait == nil {
		return false
	}
	s.wait = nil
	s.dropGuest()
	wait()
	s.closeReady()
	s.status, s.request, s.response, s.edits, s.edited = 0, body{}, body{}, [2]trailerEdits{}, [2]bool{}
	s.fields.Reset()
	return true
}

// askAgain has a guest handle the request anew. Those who waited for the same are woken
// together and would take every guest for longer than anybody waits for one, so most of
// them wait for others of them first.
func (s *session) askAgain() (next bool, ctx uint32, err error) {
	life := s.x.Context()
	select {
	case s.policy.again <- struct{}{}:
	case <-life.Done():
		return false, 0, exchange.CauseOf(life)
	}
	defer func() { <-s.policy.again }()
	if err := s.takeGuest(); err != nil {
		return false, 0, err
	}
	return s.guest.handleRequest()
}

// Keep follows wasm.Visit.
func (s *session) Keep(k wasm.Ender) { s.kept = k }

// Kept follows wasm.Visit.
func (s *session) Kept() wasm.Ender { return s.kept }
