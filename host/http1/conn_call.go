package http1

import (
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
)

// call is one exchange on a connection, and its Sink. It belongs to the
// connection's goroutine, but for the request's body. The next exchange, maybe of
// another connection, gets it.
type call struct {
	x      exchange.Exchange
	conn   *serverConn
	in     input
	parser message.RequestParser
	head   message.RequestHead
	body   *requestBody // nil if the request has none
	spare  *requestBody // for the next request that has one

	response message.ResponseHead
	out      []byte // what is to be written, in a buffer of server.inputs or copies
	content  int    // bytes of the body in out

	closing  bool // the connection ends with this response
	sent     bool // Send was called
	bare     bool // the client asked with HEAD, whatever policies have made of it
	broken   bool // the response can't be completed: the client must see that
	tunneled bool // the connection was a tunnel's

	writing    sync.Mutex // held to write what is not the response
	responding atomic.Bool
}

var (
	_ Wire                 = (*call)(nil)
	_ exchange.Interrupter = (*call)(nil)
)

func newCall() *call {
	k := new(call)
	k.x.Sink = k
	k.head.Header, k.head.Trailer = &k.x.Request.Header, &k.x.Request.Trailer
	return k
}

// Gone follows Wire.
func (k *call) Gone() bool { return k.conn.gone.Load() }

// Sent follows Wire.
func (k *call) Sent() bool { return k.sent }

// Broken follows Wire.
func (k *call) Broken() bool { return k.broken }

// Break follows Wire.
func (k *call) Break() { k.broken = true }

// InterruptBody follows exchange.Interrupter.
func (k *call) InterruptBody() {
	if k.body != nil {
		k.body.interrupt()
	}
}

// carry reads the request's head and has it answered. It reports whether another
// request can follow.
func (k *call) carry() (more bool) {
	status, complete := k.receive()
	if !complete {
		return false
	}
	k.x.Began = k.x.Lap()
	k.closing = status != 0 || k.head.Close
	k.conn.watch(k.x.Life(), k.x.Began, k.body == nil && k.in.empty())
	k.conn.server.Handler.Carry(&k.x, k, status)
	k.conn.unwatch()
	return k.finish()
}

// finish leaves the connection where the next request begins, and reports
// whether there may be one.
func (k *call) finish() (more bool) {
	clean := k.body == nil || k.body.finish()
	switch {
	case k.tunneled:
		return false
	case k.broken:
		k.conn.socket.Abort()
		return false
	case k.closing || !clean:
		k.conn.linger(k.in.buf)
		return false
	}
	return true
}

// end makes the call ready for the next exchange. If there is more on the
// connection, it returns what of that was read already.
func (k *call) end(more bool) (buf []byte, n int) {
	s := k.conn.server
	life := k.x.Life()
	k.x.Reset()
	if more {
		buf, n = k.in.rest(&s.inputs)
	} else {
		k.in.release(&s.inputs)
	}
	if k.x.Life() != life {
		return buf, n // somebody may still be about to end that, and interrupt the body: k is left to them
	}
	k.parser.Reset()
	if k.body != nil && k.body.reset() {
		k.spare = k.body
	}
	k.body = nil
	k.closing, k.sent, k.bare, k.broken, k.tunneled = false, false, false, false, false
	k.responding.Store(false)
	k.conn, k.x.Conn = nil, nil
	s.calls.Put(k)
	return buf, n
}
