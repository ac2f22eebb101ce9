package upstream

import (
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// accept makes the try's response the exchange's. The stay ends with the last
// byte of its body.
func (c *Call) accept() {
	r := &c.try.Response
	old := &c.x.Response
	header, trailer := old.Header, old.Trailer // their memory is the next try's
	*old = *r
	header.Reset()
	trailer.Reset()
	r.Header, r.Trailer = header, trailer
	switch {
	case r.Tunnel != nil:
		c.tunnel = passage{call: c, ReadWriteCloser: r.Tunnel}
		old.Tunnel = &c.tunnel
	case r.Body != nil:
		c.body = body{call: c, ReadCloser: r.Body}
		old.Body = &c.body
	default:
		c.end(c.outcome(), c.x.Now)
	}
}

// end takes an answered exchange off all counts, once.
func (c *Call) end(outcome telemetry.Outcome, now time.Duration) {
	if c.over.Swap(true) {
		return
	}
	c.try.Detach()
	c.member.inFlight.Add(-1)
	c.leave(outcome, now)
}

// leave takes the exchange off the counts of the upstream as a whole.
func (c *Call) leave(outcome telemetry.Outcome, now time.Duration) {
	c.pool.shared.breaker.leave()
	c.pool.red.End(now-time.Duration(c.began), outcome)
}

// outcome is what the answer counts as.
func (c *Call) outcome() telemetry.Outcome { return telemetry.OfStatus(c.try.Response.Status) }

// brokeOff ends a call whose body could not be read to its end. A request that
// broke takes the response with it.
func (c *Call) brokeOff(err error) {
	if c.x.Life().Err() == nil && (c.replay == nil || c.replay.ClientError() == nil) {
		c.pool.report(c.member, 0, &wire.Error{Cause: exchange.CauseReset, Sent: true, Err: err})
	}
	c.end(telemetry.Failed, exchange.Clock())
}

// body is a response's body as the exchange reads it.
type body struct {
	call *Call
	io.ReadCloser
}

// Read follows io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.call.end(b.call.outcome(), exchange.Clock())
	default:
		b.call.brokeOff(err)
	}
	return n, err
}

// Close follows io.Closer.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.call.end(b.call.outcome(), exchange.Clock())
	return err
}

// passage is a tunnel as the exchange uses it.
type passage struct {
	call *Call
	io.ReadWriteCloser
}

// CloseWrite tells the endpoint that no more will come.
func (p *passage) CloseWrite() error {
	return p.ReadWriteCloser.(interface{ CloseWrite() error }).CloseWrite()
}

// Close ends both directions.
func (p *passage) Close() error {
	err := p.ReadWriteCloser.Close()
	p.call.end(telemetry.Informational, exchange.Clock())
	return err
}
