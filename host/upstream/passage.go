package upstream

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// overOnce lets one of several enders through.
type overOnce struct{ done atomic.Bool }

func (o *overOnce) first() bool { return !o.done.Swap(true) }

// accept makes the try's response the exchange's. The stay ends with the last
// byte of its body.
func (c *call) accept() {
	r := &c.try.Response
	switch {
	case r.Tunnel != nil:
		r.Tunnel = &passage{call: c, ReadWriteCloser: r.Tunnel}
	case r.Body != nil:
		r.Body = &body{call: c, ReadCloser: r.Body}
	}
	c.x.Response = *r
	if r.Tunnel == nil && r.Body == nil {
		c.end(c.outcome())
	}
}

// end takes an answered exchange off all counts, once.
func (c *call) end(outcome telemetry.Outcome) {
	if c.over.first() {
		c.try.Detach()
		c.member.inFlight.Add(-1)
		c.leave(outcome)
	}
}

// leave takes the exchange off the counts of the upstream as a whole.
func (c *call) leave(outcome telemetry.Outcome) {
	c.pool.shared.breaker.leave()
	c.pool.red.End(time.Duration(clock()-c.began), outcome)
}

// outcome is what the answer counts as.
func (c *call) outcome() telemetry.Outcome { return telemetry.OfStatus(c.try.Response.Status) }

// brokeOff ends a call whose body could not be read to its end. A request that
// broke takes the response with it.
func (c *call) brokeOff(err error) {
	if c.x.Context().Err() == nil && (c.replay == nil || c.replay.ClientError() == nil) {
		c.pool.report(c.member, 0, &wire.Error{Cause: exchange.CauseReset, Sent: true, Err: err})
	}
	c.end(telemetry.Failed)
}

// body is a response's body as the exchange reads it.
type body struct {
	call *call
	io.ReadCloser
}

// Read follows io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.call.end(b.call.outcome())
	default:
		b.call.brokeOff(err)
	}
	return n, err
}

// Close follows io.Closer.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.call.end(b.call.outcome())
	return err
}

// passage is a tunnel as the exchange uses it.
type passage struct {
	call *call
	io.ReadWriteCloser
}

// CloseWrite tells the endpoint that no more will come.
func (p *passage) CloseWrite() error {
	return p.ReadWriteCloser.(interface{ CloseWrite() error }).CloseWrite()
}

// Close ends both directions.
func (p *passage) Close() error {
	err := p.ReadWriteCloser.Close()
	p.call.end(telemetry.Informational)
	return err
}
