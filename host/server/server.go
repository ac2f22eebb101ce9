// Package server is the host's door for clients: it listens, speaks TLS and
// HTTP, and makes of every request an exchange that it hands to a Handler.
//
// HTTP/1 is package http1's. HTTP/2, by ALPN or with prior knowledge, comes from
// golang.org/x/net/http2, HTTP/3 from quic-go, both by way of net/http's types,
// which show nowhere in the package's API. What that costs: over these fields
// arrive sorted by name and in canonical spelling, because net/http keeps them in
// a map; their values keep their order. Over HTTP/2 the expectation of a 100
// (Continue) does not show, though it is met as soon as the body is read, which
// is after the policies but before the upstream was asked.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Handler carries exchanges. Serve has x to itself until it returns and sends
// the response itself, by x.Sink.Send, once; or not at all if the client is
// gone. It is called from many goroutines.
type Handler interface {
	Serve(x *exchange.Exchange)
}

// Options are what a Server is made with. The zero value is usable.
type Options struct {
	Log *slog.Logger // nil: slog.Default

	// RED returns the metrics of a listener by its name; nil: none are kept.
	RED func(listener string) *telemetry.RED

	// MaxConnections bounds the connections of all listeners together; those
	// beyond are closed as they come. Default 20000.
	MaxConnections int

	// DrainTimeout is how long the connections of a listener that a change
	// removed may take to end. Default 10 minutes.
	DrainTimeout time.Duration

	// ReloadInterval is how often TLS files are looked at. Default 2 seconds.
	ReloadInterval time.Duration
}

// Server listens for clients. Its methods are safe for concurrent use, except
// that only one Change may be open at a time.
type Server struct {
	handler Handler
	opts    Options
	log     *slog.Logger

	maxConnections atomic.Int64
	connections    atomic.Int64  // open, over all listeners
	refused        atomic.Uint64 // connections, as there were too many
	nextConn       atomic.Uint64 // Conn.ID

	mu        sync.Mutex
	listeners []*listener
	closed    bool
	drains    sync.WaitGroup // of listeners that a change removed
	stop      context.CancelFunc
	stopped   context.Context // ends drains at the deadline of Shutdown

	quicMu sync.Mutex
	quic   []*quicSocket
}

// ErrClosed is returned by Prepare after Shutdown.
var ErrClosed = errors.New("the server was shut down")

// New makes a Server that listens nowhere yet.
func New(h Handler, opts Options) *Server {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.RED == nil {
		opts.RED = func(string) *telemetry.RED { return nil }
	}
	if opts.MaxConnections == 0 {
		opts.MaxConnections = 20000
	}
	if opts.DrainTimeout == 0 {
		opts.DrainTimeout = 10 * time.Minute
	}
	if opts.ReloadInterval == 0 {
		opts.ReloadInterval = 2 * time.Second
	}
	s := &Server{handler: h, opts: opts, log: opts.Log}
	s.SetMaxConnections(opts.MaxConnections)
	s.stopped, s.stop = context.WithCancel(context.Background())
	return s
}

// SetMaxConnections changes the bound over all listeners. Connections that are
// open stay open.
func (s *Server) SetMaxConnections(n int) { s.maxConnections.Store(int64(n)) }

// Connections returns how many connections are open, tunnels included.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Refused returns how many connections were closed as they came, because a
// bound on connections was reached.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Addrs returns the bound address of each listener by its name.
func (s *Server) Addrs() map[string]net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make(map[string]net.Addr, len(s.listeners))
	for _, l := range s.listeners {
		addrs[l.name()] = l.socket.Addr()
	}
	return addrs
}

// Shutdown stops accepting, tells kept-alive connections to close, and waits
// for exchanges and tunnels to end. When ctx ends first it closes what is left
// and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	listeners := s.listeners
	s.listeners, s.closed = nil, true
	s.mu.Unlock()

	defer context.AfterFunc(ctx, s.stop)()
	var ended sync.WaitGroup
	for _, l := range listeners {
		l.close()
		ended.Go(func() { l.drain(s.stopped) })
	}
	ended.Wait()
	s.drains.Wait()
	s.stop()
	return ctx.Err()
}
