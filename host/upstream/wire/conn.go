package wire

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clock counts nanoseconds and never jumps.
func clock() int64 { return int64(time.Since(started)) }

var started = time.Now()

// conn is a connection to an endpoint. An HTTP/1.1 one carries one request at
// a time and belongs to whoever acquired it; an HTTP/2 one is shared.
type conn struct {
	*http.ClientConn
	pool  *pool
	sock  *socket
	multi bool // HTTP/2
	born  int64

	// Guarded by pool.mu.
	idleSince int64 // of HTTP/1.1
	returning bool  // of HTTP/1.1: on its way back to the pool
	gone      bool

	// used says that it has carried a request before.
	used atomic.Bool
	// Of HTTP/2: requests that use it or are about to, and whether new ones may.
	users    atomic.Int64
	retired  atomic.Bool
	lastUsed atomic.Int64
}

// reserve takes a stream of an HTTP/2 connection; finish gives it back. A few
// more may be taken at once than there are: net/http lets them wait. Its own
// Reserve is not used, because requests with a reservation wait for each other
// without end if the endpoint's first SETTINGS allow fewer streams.
func (c *conn) reserve() bool {
	c.users.Add(1)
	if !c.retired.Load() && c.Available() > 0 {
		return true
	}
	c.leave()
	return false
}

func (c *conn) leave() {
	if c.users.Add(-1) == 0 && c.retired.Load() {
		c.Close()
	}
}

// retire lets the requests on an HTTP/2 connection end, then closes it.
func (c *conn) retire() {
	c.retired.Store(true)
	if c.users.Load() == 0 {
		c.Close()
	}
}

// finish gives the connection back after a response. whole says that it was
// read to its end, so that an HTTP/1.1 connection may carry another.
func (c *conn) finish(whole bool) {
	c.used.Store(true)
	if c.multi {
		c.lastUsed.Store(clock())
		c.leave()
		c.pool.streamFreed()
		return
	}
	// Available is 0 if either side asked to close, or the request was not sent
	// to its end.
	if !whole || c.Available() == 0 {
		c.Close()
		return
	}
	c.pool.expect(c)
	c.sock.whenDrained(c)
}

// socket is a network connection that counts what passes and tells its pool
// when it is closed, whoever closes it.
type socket struct {
	net.Conn
	closing sync.Once
	closed  chan struct{}
	conn    atomic.Pointer[conn] // set once the pool has it
	in, out atomic.Int64         // bytes

	mu      sync.Mutex
	reading bool  // a Read waits for bytes
	drained *conn // to be told of the next Read
}

func newSocket(c net.Conn) *socket { return &socket{Conn: c, closed: make(chan struct{})} }

// whenDrained gives c back to its pool as soon as all that came so far was
// consumed, which shows in that more is read for. Until then it is not known
// whether the response was followed by surplus bytes, and the next request on
// the connection would take those for its answer.
func (s *socket) whenDrained(c *conn) {
	s.mu.Lock()
	now := s.reading
	if !now {
		s.drained = c
	}
	s.mu.Unlock()
	if now {
		s.giveBack(c)
	}
}

func (s *socket) giveBack(c *conn) {
	if !c.pool.put(c) {
		s.Close()
	}
}

func (s *socket) setReading(reading bool) (drained *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = reading
	drained, s.drained = s.drained, nil
	return drained
}

func (s *socket) Read(p []byte) (int, error) {
	if c := s.setReading(true); c != nil {
		s.giveBack(c)
	}
	n, err := s.Conn.Read(p)
	s.in.Add(int64(n))
	s.setReading(false)
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	s.out.Add(int64(n))
	return n, err
}

// CloseWrite ends what is sent, and leaves what is received open.
func (s *socket) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// Close follows net.Conn.
func (s *socket) Close() error {
	err := s.Conn.Close()
	s.closing.Do(func() {
		close(s.closed)
		if c := s.conn.Load(); c != nil {
			c.pool.drop(c)
		}
	})
	return err
}
