package upstream

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// Call is the stay of one exchange at an upstream: one try, or several. The zero
// value is empty and ready for use. It must not be copied.
type Call struct {
	pool     *pool
	x        *exchange.Exchange
	began    int64
	deadline int64 // of the response's head
	probe    bool  // the breaker's fate hangs on it
	replay   *wire.Replay
	trailers []string    // of the request, known beforehand
	held     wire.Replay // of a body that is whole in memory
	memory   []byte      // of such a body
	query    query
	triedBuf [4]*endpoint // of query

	// Of the last try.
	member *member
	try    *wire.Try

	shared bool        // somebody may still hold on to a try
	over   atomic.Bool // the answer has ended
	body   body        // of the answer
	tunnel passage
}

// Reset returns an empty Call, for the next exchange: c itself, unless others may
// still hold on to it. That of before has ended, and nobody reads or closes its
// response's body any more.
func (c *Call) Reset() *Call {
	if c == nil || c.tunnel.call != nil { // an end of the exchange closes tunnels from aside
		return new(Call)
	}
	if c.pool == nil {
		return c
	}
	clear(c.trailers)
	if c.shared || c.try.Shared() {
		return new(Call)
	}
	c.trailers = c.trailers[:0]
	c.pool, c.x, c.member, c.body = nil, nil, nil, body{} // the next attempt empties try
	if c.replay != nil {
		c.replay = nil
		c.held.Hold(nil)
	}
	c.query, c.triedBuf = query{}, [4]*endpoint{}
	c.over.Store(false)
	return c
}

// forward sends x.Request to an endpoint and makes its answer x.Response.
func (c *Call) forward(p *pool, x *exchange.Exchange) *wire.Error {
	if x.Now == 0 {
		x.Lap()
	}
	now := int64(x.Now)
	probe, e := p.shared.breaker.enter(&p.conf.Breaker, now)
	if e != nil {
		return e
	}
	timeout := p.conf.Timeout.D()
	if x.Route.Timeout > 0 {
		timeout = x.Route.Timeout
	}
	c.pool, c.x, c.began, c.deadline, c.probe = p, x, now, now+int64(timeout), probe
	c.query.slowStart, c.query.now, c.query.tried = int64(p.conf.SlowStart), now, c.triedBuf[:0]
	if x.Request.Body != nil && x.Request.Length != 0 {
		c.takeBody()
		for _, f := range x.Request.Trailer.Fields() {
			c.trailers = append(c.trailers, f.Name)
		}
	}
	p.red.Begin()
	p.shared.budget.request(now)
	e = c.run()
	p.shared.breaker.judge(&p.conf.Breaker, int64(x.Now), probe, c.verdict(e))
	if e != nil {
		c.leave(telemetry.Failed, x.Now)
		return e
	}
	c.accept()
	return nil
}

// run tries until there is an answer or no reason to try again.
func (c *Call) run() *wire.Error {
	var last *wire.Error
	for n := 0; ; n++ {
		known := c.pool.members.Load()
		m := c.pick()
		if m == nil {
			if last != nil {
				return last
			}
			return c.pool.noEndpoint()
		}
		e := c.attempt(m, n)
		if e != nil && e.Withdrawn() && c.pool.members.Load() != known {
			n-- // nobody was asked
			continue
		}
		answered := e == nil
		if answered && !c.unwanted() || !c.mayRetry(n, e) {
			if answered {
				return nil
			}
			return e
		}
		if answered {
			c.giveBack()
		}
		c.pool.retried(m, e)
		if ended := c.pause(n); ended != nil {
			return ended
		}
		c.query.now = int64(c.x.Lap())
		last = e
	}
}

func (c *Call) pick() *member {
	p := c.pool
	if p.hash != nil {
		c.query.hash = p.hash(c.x)
	}
	return pick(p.balancer, p.members.Load(), &c.query)
}

// attempt makes one try at one endpoint.
func (c *Call) attempt(m *member, number int) *wire.Error {
	c.shared = c.shared || c.try.Shared()
	t := c.try.Reset()
	t.X, t.Until, t.Late, t.Silence = c.x, time.Duration(c.deadline), wire.ErrTimeout, c.pool.conf.BodyTimeout.D()
	if per := c.pool.conf.TryTimeout.D(); per > 0 && c.query.now+int64(per) < c.deadline {
		t.Until, t.Late = time.Duration(c.query.now)+per, wire.ErrTryTimeout
	}
	t.Authority, t.Replay, t.Announced, t.Room = c.pool.authority(c.x, m), c.replay, c.trailers, &c.pool.room
	c.member, c.try = m, t
	c.query.tried = append(c.query.tried, m.endpoint)
	m.inFlight.Add(1)
	m.requests.Add(1)
	c.x.Endpoint.Conn = nil
	c.x.Endpoint.Tries++
	var span trace.Span
	if c.x.Sampled {
		span = startSpan(t, m, number)
	}
	e := m.via.Carry(t)
	c.x.Lap()
	t.EndInforms()
	if !t.Arrived() && e == nil {
		t.Discard()
		e = wire.Ended(t.Late)
		e.Sent = true
	}
	if e != nil {
		e.Upstream, e.Endpoint = m.upstream, m.address
		t.Detach()
		m.inFlight.Add(-1)
	}
	if span != nil {
		endSpan(span, t, e)
	}
	c.pool.report(m, t.Response.Status, e)
	return e
}

// unwanted reports whether the answer has a status that the manifest counts as
// failed.
func (c *Call) unwanted() bool {
	return slices.Contains(c.pool.conf.Retry.Status, c.try.Response.Status)
}

// giveBack drops an answer that another try is to better.
func (c *Call) giveBack() {
	c.try.Discard()
	c.member.inFlight.Add(-1)
}

// maxRetries bounds what a policy may ask for.
const maxRetries = 10

// mayRetry is the law of retries. e is nil if there was an answer, with an
// unwanted status. It takes from the budget what it allows.
func (c *Call) mayRetry(n int, e *wire.Error) bool {
	conf := &c.pool.conf.Retry
	attempts := conf.Attempts
	if c.x.Route.RetriesSet {
		attempts = min(c.x.Route.Retries, maxRetries)
	}
	switch {
	case n >= attempts,
		e != nil && e.Blame != wire.BlameUpstream,
		(e == nil || e.Sent) && !idempotent(c.x.Request.Method),
		c.try.Informed(), // the client has seen a part of an answer
		c.replay != nil && !c.replay.Replayable(),
		c.x.Life().Err() != nil:
		return false
	}
	now := int64(c.x.Now)
	return now < c.deadline && c.pool.shared.budget.allow(now, conf)
}

// idempotent reports whether a method may be repeated (RFC 9110, 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// maxBackoff bounds the doubling of the pause between tries.
const maxBackoff = time.Second

// pause waits before try n+1: a random part of a growing length, so that those
// who failed together don't come back together.
func (c *Call) pause(n int) *wire.Error {
	most := min(c.pool.conf.Retry.Backoff.D()<<n, maxBackoff)
	if most <= 0 {
		return nil
	}
	length := min(rand.N(most), time.Duration(c.deadline)-c.x.Now)
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.x.Life().Done():
		return wire.Ended(c.x.Life().Cause())
	}
}

func (c *Call) verdict(e *wire.Error) verdict {
	switch {
	case e == nil && badGateway(c.try.Response.Status):
		return bad
	case e == nil:
		return good
	case e.Blame == wire.BlameUpstream && e.Cause != exchange.CauseNoEndpoint:
		return bad
	}
	return neutral
}

// badGateway reports whether a status says that the endpoint cannot serve, as
// opposed to an error of what it serves.
func badGateway(status int) bool { return status >= 502 && status <= 504 }
