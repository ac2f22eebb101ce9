package httpwasm

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
)

func getStatusCode(ctx context.Context, _ api.Module, stack []uint64) {
	s := sessionOf(ctx)
	status := s.status
	if status == 0 && s.phase != requestPhase {
		status = s.x.Response.Status
	}
	if status == 0 {
		status = defaultStatus
	}
	stack[0] = uint64(status)
}

const defaultStatus = 200

func setStatusCode(ctx context.Context, _ api.Module, stack []uint64) {
	s := sessionOf(ctx)
	s.mustHoldResponse("status")
	status := uint32(stack[0])
	if status < 200 || status > 599 {
		trap("%d is not the status of a final response", status)
	}
	s.status = int(status)
}

// answer makes what the guest set the response.
func (s *session) answer() {
	if s.answerReady() {
		return
	}
	r := &s.x.Response
	r.Status = defaultStatus
	if s.status != 0 {
		r.Status = s.status
	}
	r.Header.CopyFrom(&s.fields)
	s.response.replaced = true // by what was written, be it nothing
	s.replaceResponse()
	s.edits[1].apply(&r.Trailer)
	s.endWithTrailers(1, r.Body, &r.Header, &r.Length)
}

// prefixResponse puts what the guest wrote before the request went on before
// the upstream's body. A status that it set by then has no effect.
func (s *session) prefixResponse(early []byte) {
	r := &s.x.Response
	if bodyless(r.Status) || r.Status == 101 {
		return
	}
	if r.Length != exchange.UnknownLength {
		setLength(&r.Header, &r.Length, r.Length+int64(len(early)))
	}
	switch {
	case s.x.Request.Method == "HEAD":
	case r.Body == nil:
		r.Body = exchange.NewBuffered(early)
	default:
		r.Body = &prefixed{io.MultiReader(bytes.NewReader(early), r.Body), r.Body}
	}
}

// prefixed is a body with something before it.
type prefixed struct {
	io.Reader
	io.Closer
}

// holdResponse brings the response's body into memory if the guest asked for
// it. What is not the policy's fault is returned.
func (s *session) holdResponse() error {
	r := &s.x.Response
	if s.phase == responsePhase && s.features&bufferResponse == 0 {
		s.response.ended = r.Body == nil
		return nil
	}
	if r.Endless() { // the guest finds an empty body, and what it writes is dropped
		s.response.endless = true
		return nil
	}
	s.response.held = true
	if r.Body == nil {
		s.response.ended = true
		return nil
	}
	held, err := s.policy.bodies.response.hold(r.Body, r.Length)
	if held != nil {
		r.Body = held
		s.response.bytes = held.Bytes()
		s.response.ended = held.Whole()
	}
	if err != nil {
		return senderError(err, true)
	}
	return nil
}

// finishResponse makes what the guest changed part of the response. It reports
// whether that was more than fields.
func (s *session) finishResponse() (changed bool) {
	r := &s.x.Response
	if s.response.endless {
		s.leaveEndless()
	}
	changed = s.status != 0 || s.response.replaced
	if s.status != 0 {
		r.Status = s.status
	}
	if changed && (s.response.replaced || bodyless(r.Status)) {
		s.replaceResponse()
	}
	if edits := s.edits[1]; len(edits) > 0 {
		r.Body = edits.follow(r.Body, &r.Trailer, s.response.ended || s.response.replaced)
	}
	s.endWithTrailers(1, r.Body, &r.Header, &r.Length)
	return changed
}

// leaveEndless drops what the guest wrote to a response that passes as it is.
func (s *session) leaveEndless() {
	upgraded := s.x.Response.Status == 101 && s.status != 0
	if !s.response.replaced && !upgraded {
		return
	}
	s.response.replaced = false
	if upgraded {
		s.status = 0
	}
	s.policy.log.Emit(s.guest.instance.Call(), slog.LevelWarn, []byte(
		"the response is a stream or an upgrade and passes as it is: what the policy wrote is dropped"))
}

// replaceResponse makes what was written the response's body. The answer to
// HEAD has only its length; some statuses have not even that.
func (s *session) replaceResponse() {
	r := &s.x.Response
	if r.Body != nil {
		r.Body.Close()
		r.Body = nil
	}
	if bodyless(r.Status) {
		s.response.written = nil
	} else if len(s.response.written) > 0 && s.x.Request.Method != "HEAD" {
		r.Body = exchange.NewBuffered(s.response.written)
	}
	setLength(&r.Header, &r.Length, int64(len(s.response.written)))
}

func bodyless(status int) bool { return status == 204 || status == 304 }

// passRequest makes what the guest changed part of the request that goes on.
func (s *session) passRequest() {
	r := &s.x.Request
	switch b := &s.request; {
	case b.replaced:
		s.replaceRequest(b.written)
	case b.consumed > 0 && b.ended:
		s.replaceRequest(nil)
	case b.consumed > 0 && r.Length > 0:
		setLength(&r.Header, &r.Length, r.Length-b.consumed)
	}
	if edits := s.edits[0]; len(edits) > 0 {
		r.Body = edits.follow(r.Body, &r.Trailer, s.request.ended || s.request.replaced)
	}
	s.endWithTrailers(0, r.Body, &r.Header, &r.Length)
}

func (s *session) replaceRequest(with []byte) {
	r := &s.x.Request
	if r.Body != nil {
		r.Body.Close()
		r.Body = nil
	}
	if len(with) > 0 {
		r.Body = exchange.NewBuffered(with)
	}
	setLength(&r.Header, &r.Length, int64(len(with)))
}

// setLength changes a body's length, and the field that tells it if there is one.
func setLength(h *exchange.Header, length *int64, n int64) {
	*length = n
	if !h.Has("content-length") {
		return
	}
	if n == exchange.UnknownLength {
		h.Del("content-length")
		return
	}
	h.Set("content-length", strconv.FormatInt(n, 10))
}
