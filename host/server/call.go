package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
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
	if c.http1() && c.conn.http1.spoiled.Load() {
		panic(http.ErrAbortHandler) // the rest of a broken body, parsed as a request
	}
	c.x.Started = time.Now()
	c.x.Conn = c.conn.describe()
	c.x.Sink = c
	c.x.SetContext(r.Context())
	c.takeBody()
	c.writing.limit = f.settings.Limits.BodyTimeout.D()
	c.writing.expire = c.interruptWrite

	refusal := c.receive()
	c.closing = refusal != 0 && c.http1()
	f.carry(&c.x, c, refusal)
	c.finish()
}

// Gone follows wire.
func (c *call) Gone() bool { return c.r.Context().Err() != nil }

// Sent follows wire.
func (c *call) Sent() bool { return c.sent }

// Broken follows wire.
func (c *call) Broken() bool { return c.broken }

// Break follows wire.
func (c *call) Break() { c.broken = true }

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
		c.conn.http1.spoil()
	}
	if limit := c.writing.limit; limit != 0 && (c.http1() || c.x.ResponseBytes > 0) {
		// What net/http still holds goes out after the call, up to this deadline.
		c.control.SetWriteDeadline(time.Now().Add(limit))
	}
}

// http1 tells the connection's protocol, which is not always that of the request:
// net/http lets the first line of HTTP/2's preface pass as a request of HTTP/1.
func (c *call) http1() bool { return c.conn.http1 != nil }

func (c *call) expectsContinue() bool {
	return c.r.ProtoAtLeast(1, 1) && exchange.HasToken(c.r.Header.Get("Expect"), "100-continue")
}

// longAgo is a deadline that makes what is in progress return.
var longAgo = time.Unix(1, 0)

// interruptRead ends a read of the body for good.
func (c *call) interruptRead() {
	if c.http1() {
		c.conn.socket.SetReadDeadline(longAgo)
	} else {
		c.control.SetReadDeadline(longAgo)
	}
}

// interruptWrite ends a write of the response for good.
func (c *call) interruptWrite() {
	if c.http1() {
		c.conn.socket.SetWriteDeadline(longAgo)
	} else {
		c.control.SetWriteDeadline(longAgo)
	}
}

// InterruptBody follows exchange.Interrupter.
func (c *call) InterruptBody() { c.body.interrupt() }

var errSentTwice = errors.New("the response was sent already")
