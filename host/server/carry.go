package server

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Carry follows http1.Handler, for every protocol: it lets the Handler carry x,
// which came by w, or refuses it with the status unless that is 0. Whatever the
// Handler does, the client gets a response or is to see that there is none.
func (f *front) Carry(x *exchange.Exchange, w http1.Wire, refusal int) {
	f.red.Begin()
	if refusal != 0 {
		f.server.log.Debug("request refused", "listener", f.settings.Name, "client", x.Conn.Remote, "status", refusal)
		x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: refusal})
		w.Send(x)
		x.Lap()
	} else {
		f.handle(x, w)
	}
	f.red.End(x.Now-x.Began, outcome(x, w))
}

func (f *front) handle(x *exchange.Exchange, w http1.Wire) {
	defer func() {
		if cause := recover(); cause != nil {
			f.server.log.Error("panic in handler", "listener", f.settings.Name, "id", x.ID,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			fail(x, w)
		}
	}()
	f.server.handler.Serve(x)
	if !w.Sent() && !w.Gone() {
		f.server.log.Error("handler sent no response", "listener", f.settings.Name, "id", x.ID)
		fail(x, w)
	}
	if !w.Sent() {
		w.Break()
	}
}

// fail answers 500 if nothing was sent yet.
func fail(x *exchange.Exchange, w http1.Wire) {
	if w.Sent() {
		w.Break()
		return
	}
	x.Fail(&exchange.Failure{Cause: exchange.CauseInternal, Status: http.StatusInternalServerError})
	w.Send(x)
}

// outcome is what the listener's metrics say of the exchange.
func outcome(x *exchange.Exchange, w http1.Wire) telemetry.Outcome {
	if status := x.Response.Status; !w.Broken() && status >= 101 && status <= 599 {
		return telemetry.OfStatus(status)
	}
	return telemetry.Failed
}
