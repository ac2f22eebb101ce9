package httpwasm

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
)

// operation is how a guest changes a field.
type operation uint8

const (
	set operation = iota
	add
	remove
)

func (op operation) apply(h *exchange.Header, name, value string) {
	switch op {
	case set:
		h.Set(name, value)
	case add:
		h.Add(name, value)
	case remove:
		h.Del(name)
	}
}

// trailerEdits are changes to trailers that are not there yet: a message's
// trailers are known once its body has ended.
type trailerEdits []trailerEdit

type trailerEdit struct {
	op          operation
	name, value string
}

func (edits trailerEdits) apply(h *exchange.Header) {
	for _, e := range edits {
		op := e.op
		if value, announced := h.Get(e.name); op == add && announced && value == "" {
			op = set // an announcement is a field without its value
		}
		op.apply(h, e.name, e.value)
	}
}

// follow returns the body under which the edits happen when it has ended, or
// does them at once if it has.
func (edits trailerEdits) follow(body io.ReadCloser, trailer *exchange.Header, ended bool) io.ReadCloser {
	if ended || body == nil {
		edits.apply(trailer)
		return body
	}
	for _, e := range edits {
		if e.op != remove && !trailer.Has(e.name) {
			trailer.Add(e.name, "")
		}
	}
	return &editedBody{ReadCloser: body, trailer: trailer, edits: edits}
}

// editedBody is a body whose trailers a guest changed in advance.
type editedBody struct {
	io.ReadCloser
	trailer *exchange.Header
	edits   trailerEdits
}

// Read follows io.Reader.
func (b *editedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.edits.apply(b.trailer)
		b.edits = nil
	}
	return n, err
}

// editTrailer changes a trailer of the request (0) or response (1), now or when
// the body has ended. A field that may not be a trailer is left out.
func (s *session) editTrailer(direction int, op operation, name, value string) {
	if s.features&trailers == 0 {
		trap("trailers can't be set without feature trailers")
	}
	if !exchange.TrailerAllowed(name) {
		return
	}
	s.edited[direction] = true
	if direction == 0 && s.request.ended {
		op.apply(&s.x.Request.Trailer, name, value)
		return
	}
	if direction == 1 && s.phase != requestPhase && s.response.ended {
		op.apply(&s.x.Response.Trailer, name, value)
		return
	}
	if len(s.edits[direction]) == maxFields {
		trap("a policy can't change more than %d trailers in advance", maxFields)
	}
	s.edits[direction] = append(s.edits[direction], trailerEdit{op, name, value})
}

// endWithTrailers forgets a body's length if the guest touched its trailers:
// HTTP/1.1 has room for them only after a body that is sent in chunks.
func (s *session) endWithTrailers(direction int, body io.ReadCloser, h *exchange.Header, length *int64) {
	if s.edited[direction] && body != nil {
		setLength(h, length, exchange.UnknownLength)
	}
}
