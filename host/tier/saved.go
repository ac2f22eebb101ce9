package tier

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
)

// savedRequest is a request as it was before a policy that may have to be undone.
type savedRequest struct {
	head   exchange.Request // without its header and bodies
	header exchange.Header  // in memory of its own
	body   savedBody
	route  exchange.Route
	notes  int
}

// take keeps the request as it is now. With holds, the host may read the body
// meanwhile: it is restored from its first byte.
func (s *savedRequest) take(x *exchange.Exchange, holds bool) {
	r := &x.Request
	if holds {
		r.Body = wrap(r.Body)
	}
	s.head.Method, s.head.Scheme, s.head.Authority, s.head.Target = r.Method, r.Scheme, r.Authority, r.Target
	s.head.Length, s.head.Upgrade = r.Length, r.Upgrade
	s.header.CopyFrom(&r.Header)
	s.body.take(r.Body)
	s.route = x.Route
	s.notes = len(x.Notes)
}

// restore makes the request what it was, and the response nothing. What a policy
// has consumed of a body that it streams is lost.
func (s *savedRequest) restore(x *exchange.Exchange) {
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target = s.head.Method, s.head.Scheme, s.head.Authority, s.head.Target
	r.Length, r.Upgrade = s.head.Length, s.head.Upgrade
	r.Header.CopyFrom(&s.header)
	r.Body = s.body.restored()
	x.Route = s.route
	x.Notes = x.Notes[:min(s.notes, len(x.Notes))]

	header := x.Response.Header
	closeResponse(&x.Response)
	header.Reset()
	x.Response = exchange.Response{Header: header}
}

func (s *savedRequest) reset() {
	s.head, s.route, s.body = exchange.Request{}, exchange.Route{}, savedBody{}
	s.header.Reset()
}

// savedResponse is a response as it was before a policy that may have to be
// undone.
type savedResponse struct {
	status int
	header exchange.Header // in memory of its own
	body   savedBody
	length int64
	notes  int
}

func (s *savedResponse) take(x *exchange.Exchange, holds bool) {
	r := &x.Response
	if holds {
		r.Body = wrap(r.Body)
	}
	s.status, s.length = r.Status, r.Length
	s.header.CopyFrom(&r.Header)
	s.body.take(r.Body)
	s.notes = len(x.Notes)
}

func (s *savedResponse) restore(x *exchange.Exchange) {
	r := &x.Response
	r.Status, r.Length = s.status, s.length
	r.Header.CopyFrom(&s.header)
	r.Body = s.body.restored()
	x.Notes = x.Notes[:min(s.notes, len(x.Notes))]
}

func (s *savedResponse) reset() {
	s.status, s.length, s.body = 0, 0, savedBody{}
	s.header.Reset()
}

// savedBody is the body of a saved message.
type savedBody struct {
	body io.ReadCloser
	held *exchange.Buffered // body, if it is one
}

func (s *savedBody) take(body io.ReadCloser) {
	s.body = body
	s.held, _ = body.(*exchange.Buffered)
}

// follow keeps up with the host having read more of the body: held stands for
// body now.
func (s *savedBody) follow(body io.ReadCloser, held *exchange.Buffered) {
	if before, ok := body.(*exchange.Buffered); ok && before == s.held {
		s.body, s.held = held, held
	}
}

func (s *savedBody) restored() io.ReadCloser {
	if s.held != nil {
		s.held.Rewind()
	}
	return s.body
}

// wrap gives a body an identity that follow can recognise.
func wrap(body io.ReadCloser) io.ReadCloser {
	if body == nil {
		return nil
	}
	if held, ok := body.(*exchange.Buffered); ok {
		return held
	}
	held, _ := exchange.Peek(body, 0) // reads nothing
	return held
}
