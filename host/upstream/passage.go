package upstream

import (
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/socket"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// accept makes the try's response the exchange's. The stay ends with the last
// byte of its body.
func (c *Call) accept() {
	r, from := &c.x.Response, &c.try.Response
	r.Reset()
	r.Status, r.Version, r.Length = from.Status, from.Version, from.Length
	r.Header, from.Header = from.Header, r.Header // the memory of before is the next try's
	r.Trailer, from.Trailer = from.Trailer, r.Trailer
	switch {
	case from.Tunnel != nil:
		r.Tunnel = c.passageOf(from.Tunnel)
	case from.Body != nil:
		r.Body = c.bodyOf(from.Body)
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
	if c.over.Load() {
		return
	}
	if !c.x.Life().Ended() && (c.replay == nil || c.replay.ClientError() == nil) {
		c.pool.report(c.member, 0, &wire.Error{Cause: exchange.CauseReset, Sent: true, Err: err})
	}
	c.end(telemetry.Failed, exchange.Clock())
}

// body is a response's body as the exchange reads it.
type body struct {
	call *Call
	io.ReadCloser
	lender http1.Spliceable // the same, if it lends its bytes
	ready  http1.Ready      // the same, if it knows whether it has some
}

var (
	_ http1.Spliceable = (*body)(nil)
	_ http1.Ready      = (*body)(nil)
)

func (c *Call) bodyOf(from io.ReadCloser) io.ReadCloser {
	lender, _ := from.(http1.Spliceable)
	ready, _ := from.(http1.Ready)
	c.body = body{c, from, lender, ready}
	return &c.body
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

// SpliceSource follows http1.Spliceable. The stay ends when the body is read on
// or closed, after the last byte that was lent.
func (b *body) SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	if b.lender == nil {
		return nil, nil, 0, false
	}
	return b.lender.SpliceSource()
}

// Spliced follows http1.Spliceable. Whether an error is the end, the next Read
// tells: a deadline may only have to be set anew.
func (b *body) Spliced(n int64, err error) { b.lender.Spliced(n, err) }

// Ready follows http1.Ready.
func (b *body) Ready() bool { return b.ready != nil && b.ready.Ready() }

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
	lender http1.Spliceable // the same, if it lends its bytes
}

var _ http1.Spliceable = (*passage)(nil)

func (c *Call) passageOf(both io.ReadWriteCloser) io.ReadWriteCloser {
	lender, _ := both.(http1.Spliceable)
	c.tunnel = passage{c, both, lender}
	return &c.tunnel
}

// SpliceSource follows http1.Spliceable.
func (p *passage) SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	if p.lender == nil {
		return nil, nil, 0, false
	}
	return p.lender.SpliceSource()
}

// Spliced follows http1.Spliceable.
func (p *passage) Spliced(n int64, err error) { p.lender.Spliced(n, err) }

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
