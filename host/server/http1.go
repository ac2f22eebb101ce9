package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// serveHTTP1 speaks HTTP/1 until the connection ends. A plain connection that
// turns out to begin with the preface of HTTP/2 is served as such.
func (f *front) serveHTTP1(c *conn) {
	h := &http1Conn{Conn: c.stream(), c: c, done: make(chan struct{})}
	if c.secured == nil {
		early, err := f.firstBytes(c)
		if err != nil {
			return
		}
		if string(early) == http2.ClientPreface {
			f.serveHTTP2(c, early)
			return
		}
		h.early = early
	}
	c.http1 = h
	f.http1.queue.add(h)
	<-h.done
}

// firstBytes reads up to the whole preface of HTTP/2, or what can't become one.
func (f *front) firstBytes(c *conn) ([]byte, error) {
	if limit := f.settings.Limits.HeaderTimeout.D(); limit > 0 {
		c.socket.SetReadDeadline(time.Now().Add(limit))
		defer c.socket.SetReadDeadline(time.Time{})
	}
	c.whenDraining(func() { c.socket.SetReadDeadline(longAgo) })
	defer c.whenDraining(nil)
	bytes := make([]byte, len(http2.ClientPreface))
	for n := 0; ; {
		more, err := c.socket.Read(bytes[n:])
		n += more
		switch {
		case err != nil:
			return nil, err
		case n == len(bytes) || !strings.HasPrefix(http2.ClientPreface, string(bytes[:n])):
			return bytes[:n], nil
		}
	}
}

// protocol1 serves HTTP/1 by net/http.
type protocol1 struct {
	server *http.Server
	queue  *queue
}

func (f *front) newProtocol1() protocol1 {
	limits := &f.settings.Limits
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return protocol1{queue: newQueue(), server: &http.Server{
		Handler:                      f,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            limits.HeaderTimeout.D(),
		IdleTimeout:                  limits.IdleTimeout.D(),
		MaxHeaderBytes:               int(limits.HeaderBytes),
		ConnContext:                  withConn,
		ErrorLog:                     slog.NewLogLogger(f.server.log.Handler(), slog.LevelDebug),
	}}
}

// withConn lets a request find its connection; it follows http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c.(*http1Conn).c)
}

// http1Conn is a connection as net/http sees it.
//
// It exists to make sure of what net/http leaves open: with responses that begin
// before the request's body was read, it goes on to parse what is left of a
// broken body as the next request. A spoiled connection yields nothing more.
type http1Conn struct {
	net.Conn // conn.stream
	c        *conn
	early    []byte // read before

	spoiled atomic.Bool
	closed  atomic.Bool
	done    chan struct{}
}

// Bounds of the lingering close of a spoiled connection (RFC 9112, 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// Read follows net.Conn.
func (h *http1Conn) Read(p []byte) (int, error) {
	if h.spoiled.Load() {
		return 0, io.EOF
	}
	if len(h.early) > 0 {
		n := copy(p, h.early)
		h.early = h.early[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// spoil makes sure that no further request is read.
func (h *http1Conn) spoil() { h.spoiled.Store(true) }

// CloseWrite ends the writing direction alone.
func (h *http1Conn) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close follows net.Conn. A spoiled connection first gives the client time to
// read the response, which a reset would take from it.
func (h *http1Conn) Close() error {
	if h.closed.Swap(true) {
		return net.ErrClosed
	}
	defer close(h.done)
	if h.spoiled.Load() {
		h.CloseWrite()
		if tcp, ok := h.c.socket.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
		h.c.socket.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, h.c.socket, lingerBytes)
	}
	return h.Conn.Close()
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
