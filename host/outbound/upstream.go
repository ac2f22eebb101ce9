package outbound

import (
	"io"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// longest stands for no bound where there must be one.
const longest = 24 * time.Hour

// toUpstream sends the request by way of an upstream of the running generation,
// as an exchange of its own.
func (k *call) toUpstream(body content) (*answer, error) {
	if k.client.upstreams == nil {
		return nil, errNoUpstreams
	}
	x := k.exchange(body)
	if f := k.client.upstreams.Forward(x, k.target.upstream); f != nil {
		if f.Cause == exchange.CauseTimeout && k.ctx.Err() == nil {
			return nil, &timeoutError{f}
		}
		return nil, f
	}
	a := &answer{status: x.Response.Status, body: x.Response.Body}
	if a.body == nil {
		a.body = io.NopCloser(eof{})
	}
	own(&a.header, &x.Response.Header)
	a.trailer = func() *exchange.Header {
		var h exchange.Header
		own(&h, &x.Response.Trailer)
		return &h
	}
	return a, nil
}

// timeoutError is a failure of the upstream's own deadlines.
type timeoutError struct{ *exchange.Failure }

func (e *timeoutError) Unwrap() []error { return []error{e.Failure, errTimeout} }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// exchange makes the exchange that the upstream is to answer.
func (k *call) exchange(body content) *exchange.Exchange {
	x := &exchange.Exchange{Sampled: k.span != nil}
	x.Begin(exchange.NewLife(k.ctx))
	r := &x.Request
	r.Method, r.Scheme, r.Target, r.Version = k.request.Method, "http", k.target.path, exchange.HTTP11
	if r.Authority = k.request.Authority; r.Authority == "" {
		r.Authority = k.target.upstream
	}
	r.Header.CopyFrom(&k.header)
	switch {
	case body.stream != nil:
		r.Body, r.Length = body.stream, exchange.UnknownLength
	case len(body.whole) > 0 || k.trailer.Len() > 0:
		r.Body, r.Length = exchange.NewBuffered(body.whole), int64(len(body.whole))
	}
	if k.trailer.Len() > 0 {
		r.Trailer.CopyFrom(&k.trailer)
		r.Length = exchange.UnknownLength
	}
	x.Received = r.Line()
	x.Route = exchange.Route{Upstream: k.target.upstream, Timeout: k.timeout}
	if k.timeout == 0 {
		x.Route.Timeout = longest
	}
	return x
}

// own copies fields with text of their own: that of an exchange may be a view of
// what was received.
func own(to, from *exchange.Header) {
	for _, f := range from.Fields() {
		to.Add(strings.Clone(strings.ToLower(f.Name)), strings.Clone(f.Value))
	}
	exchange.RemoveHopByHop(to)
}
