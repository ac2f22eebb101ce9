package engine

import (
	"errors"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/upstream"
)

// Serve carries an exchange from its request's head to its response's last
// byte, through one generation. If a policy or the sink panics, everything is
// given back before the panic goes on to the caller.
func (e *Engine) Serve(x *exchange.Exchange) {
	r := e.begin(x)
	defer e.end(r)

	f := r.g.receive(x)
	r.span = e.opts.Telemetry.StartServer(x) // it tells who asked
	if f == nil {
		f = r.request()
	}
	if f != nil {
		x.Fail(f)
	}
	r.response()
	if x.Response.Tunnel != nil {
		r.leave() // bytes in a tunnel are no generation's: a swap must not end it
	}
	r.brokeOff(x.Sink.Send(x))
	r.carried = true
}

// begin pins a generation for the exchange.
func (e *Engine) begin(x *exchange.Exchange) *ride {
	if x.Now == 0 {
		x.Lap()
	}
	if x.Began == 0 {
		x.Began = x.Now
	}
	r := e.rides.Get().(*ride)
	r.x, r.life = x, x.Life()
	e.pin(r)
	x.Generation, x.Upstreams, x.Repeater = r.g.id, r.g, r
	return r
}

// request passes the request through the tiers and on to the upstream, until
// there is a response or a failure.
func (r *ride) request() *exchange.Failure {
	from := r.from
	for i := r.first; i < len(r.g.tiers); i++ {
		t := r.g.tiers[i]
		if f := t.Enter(r.x); f != nil {
			return f
		}
		r.entered = i + 1
		if answered, f := t.RequestFrom(&r.walks[i], r.x, from); answered || f != nil {
			return f
		}
		from = tier.Place{}
	}
	return r.g.next(r)
}

// response passes the response, or the failure, back through the tiers that the
// request has entered.
func (r *ride) response() {
	for i := r.entered - 1; i >= r.first; i-- {
		r.g.tiers[i].Response(&r.walks[i], r.x)
	}
	r.g.reply(r.x)
}

// leave gives back everything the exchange holds of its generation.
func (r *ride) leave() {
	g := r.g
	if g == nil {
		return
	}
	r.g = nil
	defer g.alight(r)
	r.leaveTiers(g)
}

// leaveTiers leaves the tiers that were entered, last to first; each one also if
// a policy of the one before panics.
func (r *ride) leaveTiers(g *generation) {
	if r.entered == r.first {
		return
	}
	r.entered--
	i := r.entered
	defer r.leaveTiers(g)
	defer g.tiers[i].Leave(r.x)
	g.tiers[i].Done(&r.walks[i], r.x)
}

// end leaves and ends the ride itself. After a panic it is not used again: whoever
// recovers closes the response's body, which is the ride's.
func (e *Engine) end(r *ride) {
	defer e.opts.Telemetry.EndServer(r.x, r.span)
	r.leave()
	if !r.carried {
		return
	}
	r.x, r.life, r.span, r.carried = nil, nil, nil, false
	r.call = r.call.Reset()
	e.rides.Put(r)
}

// receive makes the request what policies may rely on.
func (g *generation) receive(x *exchange.Exchange) *exchange.Failure {
	if g.linked {
		x.Received = x.Request.Line() // unless the edge host says what it was
		if err := readLink(x); err != nil {
			return &exchange.Failure{Cause: exchange.CauseClient, Status: 400, Err: err}
		}
		return nil
	}
	removeLinkFields(&x.Request.Header)
	g.forwarding.Inbound(x)
	return nil
}

// reply makes the response what the client is to see.
func (g *generation) reply(x *exchange.Exchange) {
	if g.linked {
		writeLinkReply(x)
	}
}

// toUpstream sends the request to the upstream that the policies chose, or else
// the manifest.
func toUpstream(r *ride) *exchange.Failure {
	g, x := r.g, r.x
	name := x.Route.Upstream
	if name == "" {
		name = g.manifest.Service.Upstream
	}
	if name == "" || !g.upstreams.HasUpstream(name) {
		return &exchange.Failure{Cause: exchange.CauseNoRoute, Status: 404}
	}
	if x.Route.Fallbacks[0] != "" && !g.upstreams.Ready(name) {
		name = g.standIn(x, name)
	}
	x.Route.Upstream = name
	g.forwarding.Outbound(x)
	f := r.forward(name)
	if f == nil {
		removeLinkFields(&x.Response.Header)
		g.forwarding.Returned(x)
	}
	return f
}

// standIn returns the first of the exchange's fallbacks that can take it, else the
// upstream itself.
func (g *generation) standIn(x *exchange.Exchange, name string) string {
	for _, other := range x.Route.Fallbacks {
		if other != "" && g.upstreams.Ready(other) {
			return other
		}
	}
	return name
}

// forward has the request answered by an upstream.
func (r *ride) forward(name string) *exchange.Failure {
	if r.call == nil {
		r.call = new(upstream.Call)
	}
	if f := r.g.upstreams.ForwardBy(r.call, r.x, name); f != nil {
		return explain(r.x, f)
	}
	return nil
}

// brokeOff notes why a response did not reach the client whole, for the log.
func (r *ride) brokeOff(err error) {
	x := r.x
	if err == nil || x.Failure != nil {
		return
	}
	f := &exchange.Failure{Cause: exchange.CauseClient, Status: x.Response.Status, Err: err}
	var sent *exchange.SendError
	if errors.As(err, &sent) && sent.Upstream {
		f.Cause = exchange.CauseReset
	}
	x.Failure = explain(x, f)
}

// explain gives a failure its true cause when the exchange was ended from here.
func explain(x *exchange.Exchange, f *exchange.Failure) *exchange.Failure {
	cause := x.Life().Cause()
	if errors.Is(cause, errDrained) || errors.Is(cause, errShutdown) {
		return &exchange.Failure{Cause: exchange.CauseTimeout, Status: 503, RetryAfter: time.Second, Err: cause}
	}
	return f
}
