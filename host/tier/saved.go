package tier

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
)

// savedRequest is a request as it was before policies that may have to be
// undone.
type savedRequest struct {
	method, scheme, authority, target, upgrade string

	header  exchange.Header // in memory of its own
	trailer exchange.Header // so too; that of keptBody, if the body has ended meanwhile
	length  int64
	body    savedBody
	route   exchange.Route
	notes   int
	props   []exchange.Property // in memory of its own
	client  exchange.Identity   // so too
	used    bool                // since reset
}

// take keeps the request as it is now; max is how much of its body may be read
// meanwhile, 0 if nobody looks at it. settle or restore ends it.
func (s *savedRequest) take(x *exchange.Exchange, max int) {
	r := &x.Request
	s.used = true
	s.method, s.scheme, s.authority, s.target, s.upgrade = r.Method, r.Scheme, r.Authority, r.Target, r.Upgrade
	s.header.CopyFrom(&r.Header)
	s.length = r.Length
	s.trailer.CopyFrom(&r.Trailer)
	r.Body = s.body.take(r.Body, max, &r.Trailer)
	s.route = x.Route
	s.notes = len(x.Notes)
	s.props = append(s.props[:0], x.Properties...)
	s.client.CopyFrom(&x.Identity)
}

// settle says that the request stays as it is now.
func (s *savedRequest) settle(x *exchange.Exchange) {
	x.Request.Body = s.body.settle(x.Request.Body)
}

// restore makes the request what it was, and the response nothing. It reports
// false if more was read of the body than could be kept.
func (s *savedRequest) restore(x *exchange.Exchange) bool {
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target, r.Upgrade = s.method, s.scheme, s.authority, s.target, s.upgrade
	r.Header.CopyFrom(&s.header)
	s.body.restoreTrailer(&r.Trailer, &s.trailer)
	r.Length = s.length
	x.Route = s.route
	x.Notes = x.Notes[:min(s.notes, len(x.Notes))]
	x.Properties = append(x.Properties[:0], s.props...)
	x.Identity.CopyFrom(&s.client)

	header := x.Response.Header
	closeResponse(&x.Response)
	header.Reset()
	x.Response = exchange.Response{Header: header}

	var whole bool
	r.Body, whole = s.body.restore()
	return whole
}

func (s *savedRequest) reset() {
	if !s.used {
		return
	}
	header, trailer, props, client := s.header, s.trailer, s.props, s.client
	header.Reset()
	trailer.Reset()
	clear(props)
	client.Reset()
	*s = savedRequest{header: header, trailer: trailer, props: props[:0], client: client}
}

// savedResponse is a response as it was before a policy that may have to be
// undone.
type savedResponse struct {
	status  int
	header  exchange.Header // in memory of its own
	trailer exchange.Header // as in savedRequest
	length  int64
	body    savedBody
	notes   int
	props   []exchange.Property // in memory of its own
	client  exchange.Identity   // so too
	used    bool                // since reset
}

// take, settle and restore are as for a request.
func (s *savedResponse) take(x *exchange.Exchange, max int) {
	r := &x.Response
	s.used = true
	s.status, s.length = r.Status, r.Length
	s.header.CopyFrom(&r.Header)
	s.trailer.CopyFrom(&r.Trailer)
	r.Body = s.body.take(r.Body, max, &r.Trailer)
	s.notes = len(x.Notes)
	s.props = append(s.props[:0], x.Properties...)
	s.client.CopyFrom(&x.Identity)
}

func (s *savedResponse) settle(x *exchange.Exchange) {
	x.Response.Body = s.body.settle(x.Response.Body)
}

func (s *savedResponse) restore(x *exchange.Exchange) bool {
	r := &x.Response
	r.Status, r.Length = s.status, s.length
	r.Header.CopyFrom(&s.header)
	s.body.restoreTrailer(&r.Trailer, &s.trailer)
	x.Notes = x.Notes[:min(s.notes, len(x.Notes))]
	x.Properties = append(x.Properties[:0], s.props...)
	x.Identity.CopyFrom(&s.client)
	var whole bool
	r.Body, whole = s.body.restore()
	return whole
}

func (s *savedResponse) reset() {
	if !s.used {
		return
	}
	header, trailer, props, client := s.header, s.trailer, s.props, s.client
	header.Reset()
	trailer.Reset()
	clear(props)
	client.Reset()
	*s = savedResponse{header: header, trailer: trailer, props: props[:0], client: client}
}

// savedBody is the body of a saved message.
type savedBody struct {
	body io.ReadCloser
	kept *keptBody // nil: nobody looks at it
}

// take returns what stands for body until settle or restore. The trailer is that
// of its message.
func (s *savedBody) take(body io.ReadCloser, max int, trailer *exchange.Header) io.ReadCloser {
	s.body, s.kept = body, nil
	if body != nil && max > 0 {
		s.kept = &keptBody{body: body, max: max, trailer: trailer}
		return s.kept
	}
	return body
}

// restoreTrailer makes a message's trailer what it was: as it came with the body, or
// else as it was before.
func (s *savedBody) restoreTrailer(trailer, before *exchange.Header) {
	if k := s.kept; k != nil && k.ended {
		before = &k.atEnd
	}
	trailer.CopyFrom(before)
}

func (s *savedBody) settle(body io.ReadCloser) io.ReadCloser {
	kept := s.kept
	s.body, s.kept = nil, nil
	if kept == nil {
		return body
	}
	return kept.settle(body)
}

// restore may be followed by settle, or by restore again.
func (s *savedBody) restore() (body io.ReadCloser, whole bool) {
	if s.kept == nil {
		return s.body, true
	}
	return s.kept, s.kept.rewind()
}
