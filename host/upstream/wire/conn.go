package wire

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// conn is a connection to an endpoint. An HTTP/1.1 one carries one request at
// a time and belongs to whoever acquired it; an HTTP/2 one is shared.
type conn struct {
	single *socket.Conn // HTTP/1.1
	secure bool         // of single: over TLS
	multi  *http.ClientConn
	below  *watched // of HTTP/2

	info exchange.Conn // what exchanges are told of it

	pool *pool
	born time.Duration // on exchange.Clock

	// Guarded by pool.mu.
	idleSince time.Duration // of HTTP/1.1
	gone      bool

	// used says that it has carried a request before.
	used atomic.Bool
	// Of HTTP/2: requests that use it or are about to, and whether new ones may.
	users    atomic.Int64
	retired  atomic.Bool
	lastUsed atomic.Int64
}

// quiet reports whether an idle HTTP/1.1 connection looks as it should: still
// there, and nothing has come that nobody asked for. On a plain one the request
// looks itself (socket.Conn.Ask), unless it is one that is not sent in one go. TLS
// says something of its own after the handshake, until the first answer.
func (c *conn) quiet(inOneGo bool) bool {
	if c.secure {
		return !c.used.Load() || c.single.Quiet()
	}
	return inOneGo || c.single.Quiet()
}

// reserve takes a stream of an HTTP/2 connection; finish gives it back. A few
// more may be taken at once than there are: net/http lets them wait. Its own
// Reserve is not used, because requests with a reservation wait for each other
// without end if the endpoint's first SETTINGS allow fewer streams.
func (c *conn) reserve() bool {
	c.users.Add(1)
	if !c.retired.Load() && c.multi.Available() > 0 {
		return true
	}
	c.leave()
	return false
}

func (c *conn) leave() {
	if c.users.Add(-1) == 0 && c.retired.Load() {
		c.multi.Close()
	}
}

// retire lets the requests on an HTTP/2 connection end, then closes it.
func (c *conn) retire() {
	c.retired.Store(true)
	if c.users.Load() == 0 {
		c.multi.Close()
	}
}

// finish gives the connection back after a response. reusable says that an
// HTTP/1.1 connection may carry another.
func (c *conn) finish(reusable bool) {
	if !c.used.Load() {
		c.used.Store(true)
	}
	switch {
	case c.multi != nil:
		c.lastUsed.Store(int64(exchange.Clock()))
		c.leave()
		c.pool.streamFreed()
	case !reusable || !c.pool.put(c):
		c.close()
	}
}

// close ends the connection. An HTTP/2 one tells its pool when that has happened.
func (c *conn) close() {
	if c.multi != nil {
		c.multi.Close()
		return
	}
	c.single.Close()
	if c.pool != nil {
		c.pool.drop(c)
	}
}

// watched is a network connection that tells when it is closed, whoever closes
// it.
type watched struct {
	net.Conn
	closing sync.Once
	closed  chan struct{}
	conn    atomic.Pointer[conn] // set once the pool has it
}

func watch(c net.Conn) *watched { return &watched{Conn: c, closed: make(chan struct{})} }

// NetConn returns the connection below.
func (w *watched) NetConn() net.Conn { return w.Conn }

// SyscallConn follows syscall.Conn.
func (w *watched) SyscallConn() (syscall.RawConn, error) {
	if below, ok := w.Conn.(syscall.Conn); ok {
		return below.SyscallConn()
	}
	return nil, syscall.EINVAL
}

// CloseWrite ends what is sent, and leaves what is received open.
func (w *watched) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// Close follows net.Conn.
func (w *watched) Close() error {
	err := w.Conn.Close()
	w.closing.Do(func() {
		close(w.closed)
		if c := w.conn.Load(); c != nil {
			c.pool.drop(c)
		}
	})
	return err
}
