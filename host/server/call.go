package server

import (
	"errors"
	"net/http"
	"sync"
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

	key    string // of an extended CONNECT
	sent   bool   // Send was called
	broken bool   // the response can't be completed: the client must see that

	heading sync.Mutex // held while a head is written; guards the rest
	expects bool       // a 100 (Continue) is due before the body, and ours to send
	headed  bool       // the head of the response was written
}

// ServeHTTP follows http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{conn: connOf(r), w: w, r: r, control: http.NewResponseController(w)}
	c.x.Began = c.x.Lap()
	c.x.Conn = c.conn.describe()
	c.x.Sink = c
	c.x.SetContext(r.Context())
	c.takeBody()
	c.writing.limit = f.settings.Limits.BodyTimeout.D()
	c.writing.expire = c.interruptWrite

	refusal := c.receive()
	if refusal == 0 {
		c.lookForBody()
	}
	f.Carry(&c.x, c, refusal)
	c.finish()
}

// Gone follows http1.Wire.
func (c *call) Gone() bool { return c.r.Context().Err() != nil }

// Sent follows http1.Wire.
func (c *call) Sent() bool { return c.sent }

// Broken follows http1.Wire.
func (c *call) Broken() bool { return c.broken }

// Break follows http1.Wire.
func (c *call) Break() { c.broken = true }

// finish leaves the stream in a state in which net/http can do no harm.
func (c *call) finish() {
	c.writing.stop()
	c.body.finish()
	if c.broken {
		panic(http.ErrAbortHandler)
	}
	if limit := c.writing.limit; limit != 0 && c.x.ResponseBytes > 0 {
		// What net/http still holds goes out after the call, up to this deadline.
		c.control.SetWriteDeadline(time.Now().Add(limit))
	}
}

// longAgo is a deadline that makes what is in progress return.
var longAgo = time.Unix(1, 0)

// interruptRead ends a read of the body for good.
func (c *call) interruptRead() { c.control.SetReadDeadline(longAgo) }

// interruptWrite ends a write of the response for good.
func (c *call) interruptWrite() { c.control.SetWriteDeadline(longAgo) }

// InterruptBody follows exchange.Interrupter.
func (c *call) InterruptBody() { c.body.interrupt() }

var errSentTwice = errors.New("the response was sent already")
