package outbound

import (
	"context"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Reply is what a gRPC call of one message in each direction came to.
type Reply struct {
	Status          Status
	Header, Trailer *exchange.Header // nil: there was none
	Message         []byte           // nil unless Status.Code is 0
	Err             error            // the *Error if it was not the peer that ended it
}

// Unary makes a gRPC call as Stream does, with r.Body as its message, and a
// timeout as Do does. done is told of what it came to, once, on a goroutine of the
// client's; what Unary returns is told to nobody else.
func (c *Client) Unary(ctx context.Context, r *Request, done func(*Reply)) error {
	if int64(len(r.Body)) > c.config.RequestBytes-prefixBytes {
		t, _ := parseTarget(r.URL)
		return c.failure(&t, TooLarge, errRequestSize)
	}
	request := &Request{URL: r.URL, Authority: r.Authority, Timeout: c.timeout(r)}
	request.Header.CopyFrom(&r.Header)
	reply, messages := new(Reply), 0
	s, err := c.Stream(ctx, request, func(e Event) {
		switch e := e.(type) {
		case Header:
			reply.Header = e.Fields
		case Message:
			messages++
			reply.Message = e.Bytes
		case Trailer:
			reply.Trailer = e.Fields
		case Closed:
			reply.close(e, messages)
			done(reply)
		}
	})
	if err != nil {
		return err
	}
	_ = s.Send(r.Body, true) // it fails only if the stream has ended, which done is told
	return nil
}

// close settles the status. A call that succeeds has one message.
func (r *Reply) close(e Closed, messages int) {
	r.Status, r.Err = e.Status, e.Err
	if r.Status.Code == 0 && messages != 1 {
		r.Status = Status{codeInternal, "the call succeeded without one message"}
	}
	if r.Status.Code != 0 {
		r.Message = nil
	}
}
