package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// call is one exchange between net/http and the Handler: it is the exchange's
// Sink, and belongs to the goroutine that net/http serves it on.
type call struct {
	x       exchange.Exchange
	conn    *conn
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	body    requestBody
	writing stall

	closing  bool // the connection ends with this response
	sent     bool // Send was called
	informed bool // net/http's header has the fields of an informational response
	broken   bool // the response can't be completed: the client must see that
	hijacked bool // the connection was taken over for a tunnel
}

// ServeHTTP follows http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{conn: connOf(r), w: w, r: r, control: http.NewResponseController(w)}
	if c.conn.spoiled.Load() {
		panic(http.ErrAbortHandler) // the rest of a broken body, parsed as a request
	}
	c.x.Started = time.Now()
	c.x.Conn = c.conn.describe()
	c.x.Sink = c
	c.x.SetContext(r.Context())
	c.takeBody()
	c.writing.limit = f.settings.Limits.BodyTimeout.D()
	c.writing.expire = c.interruptWrite

	f.red.Begin()
	if status := c.receive(); status != 0 {
		c.refuse(status)
	} else {
		c.handle()
	}
	f.red.End(time.Since(c.x.Started), c.outcome())
	c.finish()
}

// handle lets the Handler carry the exchange. Whatever it does, the client gets
// a response or sees that there is none.
func (c *call) handle() {
	defer func() {
		if cause := recover(); cause != nil {
			c.conn.front.server.log.Error("panic in handler", "listener", c.x.Conn.Listener, "id", c.x.ID,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			c.fail()
		}
	}()
	c.conn.front.server.handler.Serve(&c.x)
	if !c.sent && c.r.Context().Err() == nil {
		c.conn.front.server.log.Error("handler sent no response", "listener", c.x.Conn.Listener, "id", c.x.ID)
		c.fail()
	}
	if !c.sent {
		c.broken = true
	}
}

// fail answers 500 if nothing was sent yet.
func (c *call) fail() {
	if c.sent {
		c.broken = true
		return
	}
	c.x.Fail(&exchange.Failure{Cause: exchange.CauseInternal, Status: http.StatusInternalServerError})
	c.Send(&c.x)
}

// refuse answers a request that no handler sees.
func (c *call) refuse(status int) {
	c.conn.front.server.log.Debug("request refused", "listener", c.x.Conn.Listener, "client", c.x.Conn.Remote, "status", status)
	c.x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: status})
	c.closing = c.http1()
	c.Send(&c.x)
}

// outcome is what the listener's metrics say of the exchange.
func (c *call) outcome() telemetry.Outcome {
	if status := c.x.Response.Status; !c.broken && status >= 101 && status <= 599 {
		return telemetry.OfStatus(status)
	}
	return telemetry.Failed
}

// finish leaves the connection in a state in which net/http can do no harm.
func (c *call) finish() {
	c.writing.stop()
	if c.hijacked {
		return
	}
	clean := c.body.finish() && !c.closing
	if c.broken {
		if c.http1() {
			c.conn.abort()
		}
		panic(http.ErrAbortHandler)
	}
	if !clean && c.http1() {
		c.conn.spoil()
	}
	if limit := c.writing.limit; limit != 0 && (c.http1() || c.x.ResponseBytes > 0) {
		// What net/http still holds goes out after the call, up to this deadline.
		c.control.SetWriteDeadline(time.Now().Add(limit))
	}
}

// http1 tells the connection's protocol; net/http lets the first line of HTTP/2's
// preface pass as a request of HTTP/1.
func (c *call) http1() bool { return c.r.ProtoMajor == 1 || c.r.Method == "PRI" }

func (c *call) expectsContinue() bool {
	return c.r.ProtoAtLeast(1, 1) && exchange.HasToken(c.r.Header.Get("Expect"), "100-continue")
}

// longAgo is a deadline that makes what is in progress return.
var longAgo = time.Unix(1, 0)

// interruptRead ends a read of the body for good.
func (c *call) interruptRead() {
	if c.http1() {
		c.conn.SetReadDeadline(longAgo)
	} else {
		c.control.SetReadDeadline(longAgo)
	}
}

// interruptWrite ends a write of the response for good.
func (c *call) interruptWrite() {
	if c.http1() {
		c.conn.SetWriteDeadline(longAgo)
	} else {
		c.control.SetWriteDeadline(longAgo)
	}
}

// InterruptBody follows exchange.Interrupter.
func (c *call) InterruptBody() { c.body.interrupt() }

var errSentTwice = errors.New("the response was sent already")
