package engine

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// What repetitions of requests may take.
const (
	maxRepeats    = 64 // of a generation, at once
	repeatTimeout = time.Minute
)

var _ exchange.Repeater = (*ride)(nil)

// Repeat follows exchange.Repeater. The copy boards the generation while the exchange
// itself still keeps it open.
func (r *ride) Repeat(done func()) bool {
	g, i := r.g, r.entered-1
	if i < 0 || !repeatable(&r.x.Request) {
		return false
	}
	from, at := r.walks[i].Here()
	if !at {
		return false
	}
	if g.repeats.Add(1) > maxRepeats {
		g.repeats.Add(-1)
		return false
	}
	x := copyOf(r.x)
	x.Life().Narrow(x.Began + repeatTimeout)
	again := &ride{x: x, life: x.Life(), g: g, seat: r.seat, first: i, entered: i, from: from}
	x.Repeater = again
	if ended := g.board(again); ended != nil {
		again.life.End(ended)
	}
	go func() {
		defer done()
		defer g.repeats.Add(-1)
		again.repeat()
	}()
	return true
}

// repeatable reports whether a request is whole without a body and ends with its response.
func repeatable(r *exchange.Request) bool {
	return r.Body == nil && r.Upgrade == "" && r.Method != "CONNECT"
}

// repeat carries the copy to the last byte of its response.
func (r *ride) repeat() {
	x, g := r.x, r.g
	defer func() {
		if cause := recover(); cause != nil {
			g.log.Error("panic in a repeated request", "request_id", x.ID, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		}
	}()
	defer r.leave()
	if f := r.request(); f != nil {
		x.Fail(f)
	}
	for i := r.entered - 1; i >= r.first; i-- {
		g.tiers[i].Response(&r.walks[i], x)
	}
	if err := x.Sink.Send(x); err != nil {
		g.log.Debug("a repeated request's response broke off", "request_id", x.ID, "err", err)
	}
}

// copyOf is an exchange of its own with the same request, but for the body.
func copyOf(x *exchange.Exchange) *exchange.Exchange {
	y := &exchange.Exchange{
		Conn: &exchange.Conn{}, Sink: nobody{}, ID: strings.Clone(x.ID), ClientIP: x.ClientIP, ClientScheme: strings.Clone(x.ClientScheme), Generation: x.Generation,
		Upstreams: x.Upstreams, Repeated: true,
	}
	y.Lap()
	y.Began = y.Now
	if x.Conn != nil {
		*y.Conn = *x.Conn
	}
	r := &x.Request
	y.Request = exchange.Request{
		Method: strings.Clone(r.Method), Scheme: strings.Clone(r.Scheme), Authority: strings.Clone(r.Authority),
		Target: strings.Clone(r.Target), Version: r.Version,
	}
	for _, f := range r.Header.Fields() {
		y.Request.Header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	y.Received = exchange.RequestLine{
		Method: strings.Clone(x.Received.Method), Authority: strings.Clone(x.Received.Authority), Target: strings.Clone(x.Received.Target),
	}
	y.Identity = exchange.Identity{Subject: strings.Clone(x.Identity.Subject), Method: strings.Clone(x.Identity.Method)}
	for _, a := range x.Identity.Attributes {
		y.Identity.Attributes = append(y.Identity.Attributes, exchange.Attribute{Name: strings.Clone(a.Name), Value: strings.Clone(a.Value)})
	}
	for _, p := range x.Properties {
		p.Name, p.Value = strings.Clone(p.Name), strings.Clone(p.Value)
		y.Properties = append(y.Properties, p)
	}
	y.Route = x.Route
	y.Route.Upstream, y.Route.HashKey = strings.Clone(x.Route.Upstream), strings.Clone(x.Route.HashKey)
	return y
}

// nobody is the client of a repeated request: it takes everything.
type nobody struct{}

var _ exchange.Sink = nobody{}

// Inform follows exchange.Sink.
func (nobody) Inform(int, *exchange.Header) error { return nil }

// Send follows exchange.Sink.
func (nobody) Send(x *exchange.Exchange) error {
	r := &x.Response
	if r.Tunnel != nil {
		_ = r.Tunnel.Close()
	}
	if r.Body == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, r.Body)
	if closed := r.Body.Close(); err == nil {
		err = closed
	}
	return err
}
