package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// front is one set of settings and the connections that came under it.
type front struct {
	server   *Server
	settings manifest.Listener
	red      *telemetry.RED
	certs    *certificates // nil: no TLS
	http1    *http1.Server
	http2    protocol2
	emptied  func() // called once, when retired and without connections

	altSvc   string      // says that there is HTTP/3; empty if there is none
	draining atomic.Bool // connections are asked to end
	closing  atomic.Bool // they are closed

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
		conns:    map[*conn]struct{}{},
		none:     make(chan struct{}),
	}
	if settings.TLS != nil {
		var problem *Problem
		if f.certs, problem = loadCertificates(settings.TLS); problem != nil {
			return nil, problem
		}
	}
	f.http1 = f.newHTTP1()
	var err error
	if f.http2, err = f.newProtocol2(); err != nil {
		return nil, &Problem{Path: "limits", Err: err}
	}
	return f, nil
}

// announce has responses over TCP say that there is HTTP/3 at that address. It is
// called before start.
func (f *front) announce(addr net.Addr) {
	f.altSvc = altSvc(addr)
	f.http1.AltSvc = f.altSvc
}

// start begins to serve what admit has let in.
func (f *front) start() {
	if f.certs != nil {
		f.certs.watch(f.server.opts.ReloadInterval, f.server.log.With("listener", f.settings.Name))
	}
}

// admit makes a connection of the front.
func (f *front) admit(socket net.Conn) *conn {
	c := &conn{socket: socket, front: f, id: f.server.nextConn.Add(1)}
	f.mu.Lock()
	f.conns[c] = struct{}{}
	f.mu.Unlock()
	return c
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
	close(f.none)
	f.emptied()
}

// drain asks connections to end and waits for them, tunnels included; when ctx
// ends first it closes them.
func (f *front) drain(ctx context.Context) {
	f.retire()
	f.draining.Store(true)
	f.http2.drain()
	f.http1.Drain()
	for _, c := range f.snapshot() {
		if h := c.http3.Load(); h != nil {
			h.drain()
		}
	}
	select {
	case <-f.none:
	case <-ctx.Done():
		f.closeAll()
		<-f.none
	}
}

func (f *front) closeAll() {
	f.closing.Store(true)
	f.http1.Abort()
	for _, c := range f.snapshot() {
		c.abort()
	}
}

// snapshot returns the connections there are.
func (f *front) snapshot() []*conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	conns := make([]*conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	return conns
}
