package outbound

import (
	"context"
	"errors"
	"io"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

// call is one call under way.
type call struct {
	client  *Client
	request *Request
	target  target
	header  exchange.Header // as it is sent
	trailer exchange.Header // likewise
	ctx     context.Context // ends with the caller's, the client and the timeout
	stop    func()
	timeout time.Duration // 0: none
	began   time.Duration
	span    trace.Span // nil: not sampled
	status  int        // once there is a response
	grpc    bool
}

// begin checks a request and takes a place for it. A failure has been counted;
// else end and then leave follow.
func (c *Client) begin(ctx context.Context, r *Request, timeout time.Duration) (*call, *Error) {
	k := &call{client: c, request: r, timeout: timeout, began: exchange.Clock()}
	c.meter.Begin()
	failure := k.prepare()
	if failure == nil {
		if err := c.enter(); err != nil {
			failure = c.failure(&k.target, kindOf(ctx, err), err)
		}
	}
	if failure != nil {
		c.meter.End(exchange.Clock()-k.began, failure)
		return nil, failure
	}
	k.bound(ctx)
	k.startSpan()
	return k, nil
}

// prepare makes the request what is sent.
func (k *call) prepare() (failure *Error) {
	c, r := k.client, k.request
	if k.target, failure = c.check(r.Method, r.URL); failure != nil {
		return failure
	}
	if int64(len(r.Body)) > c.config.RequestBytes {
		return c.failure(&k.target, TooLarge, errRequestSize)
	}
	err := endToEnd(&k.header, &r.Header, isOwn)
	if err == nil {
		err = endToEnd(&k.trailer, &r.Trailer, func(name string) bool { return !exchange.TrailerAllowed(name) })
	}
	if err == nil && r.Authority != "" && !exchange.ValidAuthority(r.Authority) {
		err = errField
	}
	if err == nil && !exchange.ValidTarget(r.Method, k.target.path) {
		err = errURL
	}
	if errors.Is(err, errFieldsSize) {
		return c.failure(&k.target, TooLarge, err)
	} else if err != nil {
		return c.failure(&k.target, BadRequest, err)
	}
	return nil
}

// bound makes the context of the call.
func (k *call) bound(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	detach := context.AfterFunc(k.client.ended, func() { cancel(errClosed) })
	var timer *time.Timer
	if k.timeout > 0 {
		timer = time.AfterFunc(k.timeout, func() { cancel(errTimeout) })
	}
	k.ctx = ctx
	k.stop = func() {
		if timer != nil {
			timer.Stop()
		}
		detach()
		cancel(nil)
	}
}

// do makes the call of Do. Its place stays taken.
func (k *call) do() (*Response, error) {
	resp, err := k.unary()
	if failure := k.end(err); failure != nil {
		return nil, failure
	}
	return resp, nil
}

// end ends the call. What went wrong becomes an *Error.
func (k *call) end(err error) (failure *Error) {
	if err != nil {
		failure = k.client.failure(&k.target, kindOf(k.ctx, err), err)
		if cause := context.Cause(k.ctx); cause != nil && !errors.Is(err, cause) {
			failure.Err = errors.Join(cause, err)
		}
	}
	k.stop()
	k.endSpan(failure)
	k.client.meter.End(exchange.Clock()-k.began, failure)
	return failure
}

// answer is the head of a response and what follows it.
type answer struct {
	status  int
	header  exchange.Header
	body    io.ReadCloser           // never nil
	trailer func() *exchange.Header // once body has returned io.EOF
}

// content is the body of a request: whole, or as it comes.
type content struct {
	whole  []byte
	stream io.ReadCloser
}

// send passes the request on and waits for the head of its response. Whoever
// gets an answer closes its body.
func (k *call) send(body content) (*answer, error) {
	send := k.toOrigin
	if k.target.upstream != "" {
		send = k.toUpstream
	}
	a, err := send(body)
	if err != nil {
		return nil, err
	}
	k.status = a.status
	return a, nil
}

// unary asks for a response and reads it whole.
func (k *call) unary() (*Response, error) {
	a, err := k.send(content{whole: k.request.Body})
	if err != nil {
		return nil, err
	}
	defer a.body.Close()
	limit := k.client.config.ResponseBytes
	body, err := io.ReadAll(io.LimitReader(a.body, limit+1))
	switch {
	case int64(len(body)) > limit:
		return nil, errResponseSize
	case err != nil:
		return nil, err
	}
	return &Response{Status: a.status, Header: a.header, Trailer: *a.trailer(), Body: body}, nil
}

// drop sends the request and reads what is answered for nobody: a connection whose
// response was read can be used again.
func (k *call) drop() error {
	a, err := k.send(content{whole: k.request.Body})
	if err != nil {
		return err
	}
	defer a.body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(a.body, k.client.config.ResponseBytes))
	return err
}
