package http1

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// serverConn is a client's connection: all that there is of it while it is idle.
// It belongs to the goroutine that runs it, but for what says otherwise.
type serverConn struct {
	server  *Server
	socket  *socket.Conn
	info    *exchange.Conn
	owner   Owner
	index   int  // in server.conns, guarded by its mutex
	plain   bool // TCP, with nothing between
	begun   bool // there was a request
	patient bool // the system gives up on a client that takes nothing
	one     [1]byte
	ahead   bool // one is the next byte that was read

	gone    atomic.Bool  // the client has left
	waiting atomic.Int64 // since when, on exchange.Clock, the exchange goes on; 0: not watched
	quiet   atomic.Bool  // nothing of the request is left to be read

	mu    sync.Mutex // guards the rest: the watcher, Drain and Abort change it
	phase phase
	life  *exchange.Life // of the exchange; nil: there is none
	ear   chan struct{}  // closed when listen has ended; nil: it has not begun
}

// phase is how far a connection is.
type phase uint8

const (
	fresh   phase = iota // not a byte was seen
	idle                 // nor after a request
	busy                 // with a request
	ending               // no request is waited for any more
	aborted              // everything ends
)

// A connection that is idle for some time gets a fresh goroutine: a stack that has
// carried an exchange is many times what waiting needs. For a few connections that
// is not worth the work unless they are really idle; of a crowd most are.
const (
	settle      = 2 * time.Second
	crowd       = 256 // connections
	crowdSettle = 20 * time.Millisecond
)

func (s *Server) settle() time.Duration {
	if s.count.Load() > crowd {
		return crowdSettle
	}
	return settle
}

// grace is how long a connection is waited for that has just come when all are to
// end: its first request may be on its way, and would be lost.
const grace = 500 * time.Millisecond

// run carries the connection from one wait to the next. small says that the
// stack is a fresh one.
func (c *serverConn) run(since time.Duration, small bool) {
	handedOn := false
	defer func() {
		if !handedOn {
			c.end(recover())
		}
	}()
	for {
		buf, n, again := c.wait(since, small)
		if again {
			handedOn = true
			go c.run(since, true)
			return
		}
		if n == 0 || !c.serve(buf, n) {
			return
		}
		since, small = exchange.Clock(), false
	}
}

// end is the connection's.
func (c *serverConn) end(panicked any) {
	c.socket.Close()
	c.server.remove(c)
	c.owner.Ended(panicked)
}

// wait waits for the first bytes of a request; none are the connection's end. It
// asks to be called again with a smaller stack once that has taken some time.
func (c *serverConn) wait(since time.Duration, small bool) (buf []byte, n int, again bool) {
	limit := c.server.IdleTimeout
	if !c.begun {
		limit = c.server.HeaderTimeout
	}
	settles := false
	if at := c.server.settle(); !small && (limit == 0 || limit > 2*at) {
		limit, settles = at, true
	}
	now := since
	if small {
		now = exchange.Clock() // it was idle before
	}
	c.mu.Lock() // drain may set the deadline too
	if c.server.draining.Load() {
		limit, settles = grace, false
	}
	c.socket.ReadBy(after(since, limit), now)
	c.mu.Unlock()
	buf, n, err := c.first()
	again = settles && socket.IsTimeout(err) && !c.socket.Interrupted()
	return buf, n, again
}

// after returns a deadline, 0 if there is no limit.
func after(now, limit time.Duration) time.Duration {
	if limit == 0 {
		return 0
	}
	return now + limit
}

// first reads the first bytes. On TLS, which takes a buffer in any case, one byte
// is waited for without another.
func (c *serverConn) first() (buf []byte, n int, err error) {
	if c.plain {
		return c.socket.ReadFirst(&c.server.inputs)
	}
	if !c.ahead {
		if n, err = c.socket.Read(c.one[:]); n == 0 {
			return nil, 0, err
		}
	}
	c.ahead = false
	buf = c.server.inputs.Take()
	buf[0] = c.one[0]
	n, _ = c.socket.Read(buf[1:]) // what is wrong shows again
	return buf, 1 + n, nil
}

// serve carries the request that begins with the first n bytes of buf, and those
// that have come behind it. It reports whether there can be more.
func (c *serverConn) serve(buf []byte, n int) (more bool) {
	if !c.enter() {
		c.server.inputs.Give(buf)
		return false
	}
	if !c.begun && c.plain {
		if buf, n, more = c.notPrior(buf, n); !more {
			return false
		}
	}
	c.begun = true
	for more = true; more && n > 0; {
		k := c.server.takeCall(c)
		k.in.begin(buf, n)
		more = k.carry()
		buf, n = k.end(more)
	}
	return more && c.leave()
}

// enter notes that a request begins, unless the connection is to end.
func (c *serverConn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != idle && c.phase != fresh {
		return false
	}
	c.phase = busy
	return true
}

// leave notes that nothing of a request is there, and reports whether there may
// be another one.
func (c *serverConn) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != busy || c.server.draining.Load() {
		return false
	}
	c.phase = idle
	return true
}

// drain closes the connection if it is idle. Otherwise its next response tells that
// it is the last.
func (c *serverConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case fresh:
		now := exchange.Clock()
		c.socket.ReadBy(now+grace, now)
	case idle:
		c.phase = ending
		c.socket.Interrupt()
	}
}

// abort ends whatever there is.
func (c *serverConn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = aborted
	c.gone.Store(true)
	if c.life != nil {
		c.life.End(context.Canceled)
	}
	c.socket.Abort()
}
