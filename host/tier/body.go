package tier

import (
	"errors"
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// narrow makes bound that of a need, if it is less (policy.BodyBound). It reports
// false if nothing is left of the need.
func narrow(need *manifest.BodyNeed, bound int64) bool {
	need.Max = min(need.Max, manifest.Size(bound))
	return need.Max > 0
}

// holdRequestBody brings as much of the body into memory as need says: the
// body is an *exchange.Buffered then.
func (w *Walk) holdRequestBody(need manifest.BodyNeed, x *exchange.Exchange) error {
	r := &x.Request
	if r.Body == nil {
		w.empty = exchange.Buffered{}
		r.Body = &w.empty
		return nil
	}
	stop := x.ReadWithin()
	held, err := hold(r.Body, r.Length, need)
	stop()
	if held != nil {
		r.Body = held
	}
	return bodyError(err, false)
}

// returnRequestBody makes the body begin at its first byte for whoever is next.
func (w *Walk) returnRequestBody(x *exchange.Exchange) {
	x.Request.Body = w.fromStart(x.Request.Body)
}

// holdResponseBody is holdRequestBody for the response.
func (w *Walk) holdResponseBody(need manifest.BodyNeed, x *exchange.Exchange) error {
	r := &x.Response
	if r.Body == nil {
		w.empty = exchange.Buffered{}
		r.Body = &w.empty
		return nil
	}
	held, err := hold(r.Body, r.Length, need)
	if held != nil {
		r.Body = held
	}
	return bodyError(err, true)
}

// returnResponseBody is returnRequestBody for the response.
func (w *Walk) returnResponseBody(x *exchange.Exchange) {
	x.Response.Body = w.fromStart(x.Response.Body)
}

func (w *Walk) fromStart(body io.ReadCloser) io.ReadCloser {
	held, ok := body.(*exchange.Buffered)
	if !ok {
		return body
	}
	if held == &w.empty {
		return nil
	}
	held.Rewind()
	return held
}

// hold reads what need asks for, unless it is in memory already.
func hold(body io.ReadCloser, length int64, need manifest.BodyNeed) (*exchange.Buffered, error) {
	limit := int64(need.Max)
	whole := need.Mode == manifest.BodyBuffer
	held, ok := body.(*exchange.Buffered)
	switch {
	case ok && held.Whole():
		held.Rewind()
		if whole && int64(len(held.Bytes())) > limit {
			return held, exchange.ErrBodyTooLarge
		}
		return held, nil
	case whole && length > limit:
		return nil, exchange.ErrBodyTooLarge
	case whole:
		return exchange.Buffer(body, limit)
	case ok && int64(len(held.Bytes())) >= limit:
		return held, nil
	}
	return exchange.Peek(body, limit)
}

// bodyError names whose body could not be read, if nothing below did.
func bodyError(err error, response bool) error {
	var named *exchange.BodyError
	if err == nil || errors.Is(err, exchange.ErrBodyTooLarge) || errors.As(err, &named) {
		return err
	}
	return &exchange.BodyError{Response: response, Err: err}
}

// boundBody makes max the bound of the request's body: it reports false if the
// body is known to be larger, and otherwise sees to it that reading more fails
// with exchange.ErrBodyTooLarge.
func boundBody(x *exchange.Exchange, max int64) bool {
	r := &x.Request
	switch {
	case r.Body == nil:
		return true
	case r.Length != exchange.UnknownLength:
		return r.Length <= max
	}
	if held, ok := r.Body.(*exchange.Buffered); ok && held.Whole() {
		return int64(len(held.Bytes())) <= max
	}
	r.Body = &boundedBody{body: r.Body, left: max}
	return true
}

// boundedBody is a body that fails beyond its bound.
type boundedBody struct {
	body io.ReadCloser
	left int64 // -1: the bound is passed
}

// Read follows io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, exchange.ErrBodyTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if int64(n) <= b.left {
		b.left -= int64(n)
		return n, err
	}
	n, b.left = int(b.left), -1
	return n, exchange.ErrBodyTooLarge
}

// Close closes the body.
func (b *boundedBody) Close() error { return b.body.Close() }
