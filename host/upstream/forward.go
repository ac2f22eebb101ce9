package upstream

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// call is the stay of one exchange at an upstream: one try, or several.
type call struct {
	pool     *pool
	x        *exchange.Exchange
	began    int64
	deadline int64 // of the response's head
	probe    bool  // the breaker's fate hangs on it
	replay   *wire.Replay
	trailers []string // of the request, known beforehand
	query    query
	triedBuf [4]*endpoint // of query

	// Of the try that was answered.
	member *member
	try    *wire.Try
	over   overOnce
}

// forward sends x.Request to an endpoint and makes its answer x.Response.
func (p *pool) forward(x *exchange.Exchange) *wire.Error {
	now := clock()
	probe, e := p.shared.breaker.enter(&p.conf.Breaker, now)
	if e != nil {
		return e
	}
	timeout := p.conf.Timeout.D()
	if x.Route.Timeout > 0 {
		timeout = x.Route.Timeout
	}
	c := &call{pool: p, x: x, began: now, deadline: now + int64(timeout), probe: probe}
	c.query = query{slowStart: int64(p.conf.SlowStart), tried: c.triedBuf[:0]}
	if x.Request.Body != nil && x.Request.Length != 0 {
		c.replay = wire.NewReplay(x.Request.Body, int64(p.conf.Retry.Body))
		for _, f := range x.Request.Trailer.Fields() {
			c.trailers = append(c.trailers, f.Name)
		}
	}
	p.red.Begin()
	p.shared.budget.request(now)
	e = c.run()
	p.shared.breaker.judge(&p.conf.Breaker, clock(), probe, c.verdict(e))
	if e != nil {
		c.leave(telemetry.Failed)
		return e
	}
	c.accept()
	return nil
}

// run tries until there is an answer or no reason to try again.
func (c *call) run() *wire.Error {
	var last *wire.Error
	for n := 0; ; n++ {
		m := c.pick()
		if m == nil {
			if last != nil {
				return last
			}
			return c.pool.noEndpoint()
		}
		e := c.attempt(m, n)
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
		if e = c.pause(n); e != nil {
			return e
		}
		last = e
	}
}

func (c *call) pick() *member {
	p := c.pool
	c.query.now = clock()
	if p.hash != nil {
		c.query.hash = p.hash(c.x)
	}
	return pick(p.balancer, p.members.Load(), &c.query)
}

// attempt makes one try at one endpoint.
func (c *call) attempt(m *member, number int) *wire.Error {
	length, reason := time.Duration(c.deadline-clock()), wire.ErrTimeout
	if per := c.pool.conf.TryTimeout.D(); per > 0 && per < length {
		length, reason = per, wire.ErrTryTimeout
	}
	t := &wire.Try{
		X:         c.x,
		Authority: c.pool.authority(c.x, m),
		Replay:    c.replay,
		Announced: c.trailers,
		Room:      &c.pool.room,
	}
	t.Ctx, t.Cancel = context.WithCancelCause(c.x.Context())
	// Not a deadline of the context: the body may stream on long after it.
	timer := time.AfterFunc(length, func() { t.Cancel(reason) })
	c.member, c.try = m, t
	c.query.tried = append(c.query.tried, m.endpoint)
	m.inFlight.Add(1)
	m.requests.Add(1)
	span := startSpan(t, m, number)
	e := m.via.Carry(t)
	t.EndInforms()
	if !timer.Stop() && e == nil {
		t.Discard()
		e = wire.Ended(t.Ctx)
		e.Sent = true
	}
	if e != nil {
		e.Upstream, e.Endpoint = m.upstream, m.address
		t.Detach()
		m.inFlight.Add(-1)
	}
	endSpan(span, t, e)
	c.pool.report(m, t.Response.Status, e)
	return e
}

// unwanted reports whether the answer has a status that the manifest counts as
// failed.
func (c *call) unwanted() bool {
	return slices.Contains(c.pool.conf.Retry.Status, c.try.Response.Status)
}

// giveBack drops an answer that another try is to better.
func (c *call) giveBack() {
	c.try.Discard()
	c.member.inFlight.Add(-1)
}

// maxRetries bounds what a policy may ask for.
const maxRetries = 10

// mayRetry is the law of retries. e is nil if there was an answer, with an
// unwanted status. It takes from the budget what it allows.
func (c *call) mayRetry(n int, e *wire.Error) bool {
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
		c.x.Context().Err() != nil:
		return false
	}
	now := clock()
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
func (c *call) pause(n int) *wire.Error {
	most := min(c.pool.conf.Retry.Backoff.D()<<n, maxBackoff)
	if most <= 0 {
		return nil
	}
	length := min(rand.N(most), time.Duration(c.deadline-clock()))
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.x.Context().Done():
		return wire.Ended(c.x.Context())
	}
}

func (c *call) verdict(e *wire.Error) verdict {
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
