package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// front is one set of settings and the connections that came under it. It is
// the only part of the package that net/http knows.
type front struct {
	server   *Server
	settings manifest.Listener
	red      *telemetry.RED
	certs    *certificates // nil: no TLS
	http     *http.Server
	queue    *queue
	emptied  func() // called once, when retired and without connections

	mu      sync.Mutex
	conns   map[*conn]struct{}
	retired bool
	none    chan struct{} // closed when retired and without connections
}

// newFront makes a front ready to start; the problem lacks its index.
func newFront(s *Server, settings *manifest.Listener) (*front, *Problem) {
	f := &front{
		server:   s,
		settings: *settings,
		red:      s.opts.RED(settings.Name),
		queue:    newQueue(),
		conns:    map[*conn]struct{}{},
		none:     make(chan struct{}),
	}
	if settings.TLS != nil {
		var problem *Problem
		if f.certs, problem = loadCertificates(settings.TLS); problem != nil {
			return nil, problem
		}
	}
	f.http = f.newHTTP()
	return f, nil
}

// Bounds of HTTP/2 that nobody needs to set.
const (
	h2PingAfter    = 30 * time.Second // of silence on a connection
	h2PingWait     = 15 * time.Second
	h2StreamWindow = 256 << 10 // bytes a client may send ahead of the reader
	h2ConnWindow   = 1 << 20
)

func (f *front) newHTTP() *http.Server {
	limits := &f.settings.Limits
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	if f.certs != nil {
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Server{
		Handler:                      f,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            limits.HeaderTimeout.D(),
		IdleTimeout:                  limits.IdleTimeout.D(),
		MaxHeaderBytes:               int(limits.HeaderBytes),
		ConnContext:                  withConn,
		ErrorLog:                     slog.NewLogLogger(f.server.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          limits.Streams,
			MaxReceiveBufferPerConnection: h2ConnWindow,
			MaxReceiveBufferPerStream:     h2StreamWindow,
			SendPingTimeout:               h2PingAfter,
			PingTimeout:                   h2PingWait,
			WriteByteTimeout:              limits.BodyTimeout.D(),
		},
	}
}

// start begins to serve what take is given.
func (f *front) start() {
	go f.http.Serve(f.queue)
	if f.certs != nil {
		f.certs.watch(f.server.opts.ReloadInterval, f.server.log.With("listener", f.settings.Name))
	}
}

// discard ends a front that was never started.
func (f *front) discard() { f.queue.Close() }

// admit makes a connection of the front.
func (f *front) admit(socket net.Conn) *conn {
	c := &conn{Conn: socket, front: f, id: f.server.nextConn.Add(1)}
	f.mu.Lock()
	f.conns[c] = struct{}{}
	f.mu.Unlock()
	return c
}

// take hands a connection to net/http.
func (f *front) take(c *conn) {
	if f.certs != nil {
		c.secured = tls.Server(c, f.certs.config())
		f.queue.add(c.secured)
	} else {
		f.queue.add(c)
	}
}

// left is called when a connection of the front was closed.
func (f *front) left(c *conn) {
	f.server.connections.Add(-1)
	f.mu.Lock()
	delete(f.conns, c)
	last := f.retired && len(f.conns) == 0
	f.mu.Unlock()
	if last {
		f.end()
	}
}

func (f *front) openCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// retire lets no connection come any more; those that are open stay.
func (f *front) retire() {
	f.mu.Lock()
	first := !f.retired
	f.retired = true
	last := first && len(f.conns) == 0
	f.mu.Unlock()
	if first && f.certs != nil {
		f.certs.stop()
	}
	if last {
		f.end()
	}
}

func (f *front) end() {
	f.queue.Close()
	close(f.none)
	f.emptied()
}

// drain asks connections to end and waits for them, tunnels included; when ctx
// ends first it closes them.
func (f *front) drain(ctx context.Context) {
	f.retire()
	f.http.Shutdown(ctx)
	select {
	case <-f.none:
	case <-ctx.Done():
		f.closeAll()
		<-f.none
	}
}

func (f *front) closeAll() {
	f.mu.Lock()
	conns := make([]*conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
}

// queue is the listener that net/http accepts from.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func newQueue() *queue { return &queue{conns: make(chan net.Conn), done: make(chan struct{})} }

func (q *queue) add(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		c.Close()
	}
}

// Accept follows net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close follows net.Listener.
func (q *queue) Close() error {
	q.close.Do(func() { close(q.done) })
	return nil
}

// Addr follows net.Listener.
func (q *queue) Addr() net.Addr { return nil }
