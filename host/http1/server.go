package http1

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// Handler carries exchanges.
type Handler interface {
	// Carry answers x by w, which is its Sink too, before it returns. If refusal is
	// not 0 the request can't be let in: that status is the answer. Once Carry has
	// returned, x, w and all text of x belong to the next exchange. It is called from
	// many goroutines.
	Carry(x *exchange.Exchange, w Wire, refusal int)
}

// Wire is a Sink that tells how far it got.
type Wire interface {
	exchange.Sink
	Gone() bool   // the client is not there any more
	Sent() bool   // Send was called
	Broken() bool // the response can't be completed: the client must see that
	Break()       // makes it so
}

// Owner is who gave a connection to the server.
type Owner interface {
	// Prior is called instead of all else if a plain connection begins with the
	// preface of HTTP/2 (RFC 9113, 3.4): it speaks that until the connection ends.
	// early is what was read, and the owner's.
	Prior(early []byte)
	// Ended is called once, when the connection is closed. panicked is what recover
	// returned.
	Ended(panicked any)
}

// Server speaks HTTP/1 to clients (RFC 9112). Set it up before the first
// connection; its methods are safe for concurrent use.
//
// A client that closes or resets its connection while its exchange goes on ends
// the exchange's life with context.Canceled, once that takes long. Closing the
// sending direction alone counts as leaving, since the two can't be told apart.
type Server struct {
	Handler Handler
	Limits  message.Limits // HeaderBytes 0: 1 MiB
	Secure  bool           // clients come by TLS
	// HeaderTimeout is the time for a request's head, and for the first byte of a
	// connection; IdleTimeout the time between exchanges; BodyTimeout how long a
	// client may be silent while it owes a body, or take nothing of one. 0: no limit.
	HeaderTimeout, IdleTimeout, BodyTimeout time.Duration
	AltSvc                                  string // announced in responses (RFC 7838, 3) unless empty

	once     sync.Once
	inputs   socket.Buffers // for what is read, and for heads
	copies   socket.Buffers // for bodies
	calls    sync.Pool      // of *call
	date     date
	draining atomic.Bool

	mu       sync.Mutex
	conns    []*serverConn
	watching bool
	count    atomic.Int32 // of conns
}

// Sizes of buffers: a head with a small body, and what of a large one is moved at
// once.
const (
	inputBytes = 16 << 10
	copyBytes  = 64 << 10
)

// maxHead bounds heads where the settings don't.
const maxHead = 1 << 20

func (s *Server) init() {
	s.inputs.Size, s.copies.Size = inputBytes, copyBytes
	if s.Limits.HeaderBytes == 0 {
		s.Limits.HeaderBytes = maxHead
	}
}

// Serve carries the exchanges of a connection that info describes. It returns
// when that has ended, or has become idle and has gone on to a goroutine with a
// smaller stack: the owner is told of the end.
func (s *Server) Serve(conn net.Conn, info *exchange.Conn, owner Owner) {
	s.once.Do(s.init)
	c := &serverConn{server: s, socket: socket.New(conn), info: info, owner: owner}
	_, c.plain = conn.(*net.TCPConn)
	s.add(c)
	c.run(exchange.Clock(), c.plain)
}

func (s *Server) add(c *serverConn) {
	s.mu.Lock()
	c.index = len(s.conns)
	s.conns = append(s.conns, c)
	s.count.Add(1)
	watch := !s.watching
	s.watching = true
	s.mu.Unlock()
	if watch {
		go s.watch()
	}
}

func (s *Server) remove(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.conns) - 1
	s.conns[c.index] = s.conns[last]
	s.conns[c.index].index = c.index
	s.conns[last] = nil
	s.conns = s.conns[:last]
	s.count.Add(-1)
}

// snapshot appends the connections there are to dst.
func (s *Server) snapshot(dst []*serverConn) []*serverConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(dst, s.conns...)
}

// Drain asks all connections to end: idle ones at once, others with their next
// response, tunnels when they are done.
func (s *Server) Drain() {
	s.draining.Store(true)
	for _, c := range s.snapshot(nil) {
		c.drain()
	}
}

// Abort ends all exchanges and connections.
func (s *Server) Abort() {
	s.draining.Store(true)
	for _, c := range s.snapshot(nil) {
		c.abort()
	}
}

// takeCall returns what an exchange of c needs.
func (s *Server) takeCall(c *serverConn) *call {
	k, _ := s.calls.Get().(*call)
	if k == nil {
		k = newCall()
	}
	k.conn, k.x.Conn = c, c.info
	return k
}

// Connections returns how many there are.
func (s *Server) Connections() int { return int(s.count.Load()) }
