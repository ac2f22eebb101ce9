package httpwasm

import (
	"context"
	"errors"
	"io"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// body is what a guest did with the body of one direction.
type body struct {
	held     bool // its bytes, or the first of them, are in memory
	bytes    []byte
	offset   int   // of the guest's next read in bytes
	consumed int64 // read from the stream, and gone
	ended    bool  // nothing is left to come, so the trailers are complete
	endless  bool  // a response that must pass as it is
	replaced bool
	written  []byte
}

// readBody reads on from where the guest stopped. It traps without room to
// read into, which a guest could never tell from an empty body.
func readBody(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	if uint32(stack[2]) == 0 {
		trap("read_body needs room for at least one byte")
	}
	into := view(mod, stack[1], stack[2])
	var n int
	var eof bool
	switch uint32(stack[0]) {
	case requestBody:
		n, eof = s.readRequest(into)
	case responseBody:
		n, eof = s.readResponse(into)
	default:
		trap("there is no body kind %d", uint32(stack[0]))
	}
	stack[0] = uint64(n)
	if eof {
		stack[0] |= 1 << 32
	}
}

func (s *session) readRequest(into []byte) (n int, eof bool) {
	if s.policy.bodies.request.mode == manifest.BodyNone {
		trap("policy.toml says that the policy does not look at request bodies")
	}
	if s.features&bufferRequest == 0 {
		if s.phase != requestPhase {
			trap("the request body can't be read after the request went on without feature buffer_request")
		}
		return s.streamRequest(into)
	}
	s.holdRequest()
	return s.request.next(into)
}

func (s *session) readResponse(into []byte) (n int, eof bool) {
	if s.phase == requestPhase {
		return 0, true // there is none yet
	}
	if s.phase == responsePhase && s.features&bufferResponse == 0 {
		trap("the response body can't be read without feature buffer_response")
	}
	return s.response.next(into)
}

// next gives the guest what is in memory.
func (b *body) next(into []byte) (n int, eof bool) {
	n = copy(into, b.bytes[b.offset:])
	b.offset += n
	return n, b.offset == len(b.bytes)
}

// streamRequest reads from the client; what the guest reads does not go on.
func (s *session) streamRequest(into []byte) (n int, eof bool) {
	from := s.x.Request.Body
	if from == nil || s.request.ended {
		s.request.ended = true
		return 0, true
	}
	call := s.guest.instance.Call()
	var err error
	stop := s.x.ReadWithin()
	call.Pause()
	for n == 0 && err == nil {
		n, err = from.Read(into)
	}
	call.Resume()
	stop()
	s.request.consumed += int64(n)
	if err != nil && err != io.EOF {
		panic(senderError(err, false))
	}
	s.request.ended = err == io.EOF
	return n, s.request.ended
}

// holdRequest brings the request's body into memory, once. It stays the body
// that goes on.
func (s *session) holdRequest() {
	if s.request.held || s.phase != requestPhase {
		return
	}
	s.request.held = true
	r := &s.x.Request
	if r.Body == nil {
		s.request.ended = true
		return
	}
	call := s.guest.instance.Call()
	stop := s.x.ReadWithin()
	call.Pause()
	held, err := s.policy.bodies.request.hold(r.Body, r.Length)
	call.Resume()
	stop()
	if held != nil {
		r.Body = held
		s.request.bytes = held.Bytes()
		s.request.ended = held.Whole()
	}
	if err != nil {
		panic(senderError(err, false))
	}
}

// hold reads as much of a body as the rule asks for.
func (r bodyRule) hold(from io.ReadCloser, length int64) (*exchange.Buffered, error) {
	if r.mode == manifest.BodyPeek {
		return exchange.Peek(from, r.max)
	}
	if length > r.max {
		return nil, exchange.ErrBodyTooLarge
	}
	return exchange.Buffer(from, r.max)
}

// senderError keeps a bound that was passed and makes everything else the fault
// of whoever sends the body.
func senderError(err error, response bool) error {
	var known *exchange.BodyError
	if errors.Is(err, exchange.ErrBodyTooLarge) || errors.As(err, &known) {
		return err
	}
	return &exchange.BodyError{Response: response, Err: err}
}

// writeBody writes the body of a direction anew: the first call of a phase
// replaces it, further ones append.
func writeBody(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	from := view(mod, stack[1], stack[2])
	switch uint32(stack[0]) {
	case requestBody:
		s.mustNotHavePassed("request body")
		if s.policy.bodies.request.mode == manifest.BodyNone {
			trap("policy.toml says that the policy does not look at request bodies")
		}
		s.request.write(from, int64(s.policy.limits.RequestBody), "request_body")
	case responseBody:
		s.mustHoldResponse("body")
		s.response.write(from, int64(s.policy.limits.ResponseBody), "response_body")
	default:
		trap("there is no body kind %d", uint32(stack[0]))
	}
}

func (b *body) write(from []byte, max int64, limit string) {
	if int64(len(b.written))+int64(len(from)) > max {
		trap("the body is larger than limits.%s, %d bytes", limit, max)
	}
	b.replaced = true
	b.written = append(b.written, from...)
}

// mustHoldResponse traps a change that came too late: a response whose body is
// not held is on its way. Before the request went on, it is the guest's own.
func (s *session) mustHoldResponse(what string) {
	if s.phase == responsePhase && s.features&bufferResponse == 0 {
		trap("the response's %s can't be set without feature buffer_response", what)
	}
}
