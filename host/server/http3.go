package server

import (
	"context"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/exchange"
)

// http3Grace is how long a connection that is to end stays for what is on its way:
// a GOAWAY to the client, the last packets of responses to be sent again.
const http3Grace = 2 * time.Second

// http3Conn speaks HTTP/3 on a connection. It does what the library leaves open:
// it ends a connection that only pretends to be busy, with streams that never get
// to a request, and closes it after a GOAWAY.
type http3Conn struct {
	front  *front
	quic   *quic.Conn
	server *http3.Server

	mu       sync.Mutex
	active   int // handlers
	draining bool
	rest     *time.Timer // runs while none is active
}

// serveHTTP3 speaks HTTP/3 until the connection ends.
func (f *front) serveHTTP3(c *conn, q *quic.Conn) {
	limits := &f.settings.Limits
	h := &http3Conn{front: f, quic: q}
	h.server = &http3.Server{
		Handler:        h,
		MaxHeaderBytes: int(limits.HeaderBytes) + 32*(limits.HeaderCount+8), // fields have weight of their own there
	}
	h.rest = time.AfterFunc(h.patience(), h.closeIdle)
	defer h.rest.Stop()
	c.http3.Store(h)
	if f.draining.Load() {
		h.drain()
	}
	if f.closing.Load() {
		h.abort()
	}
	h.server.ServeQUICConn(q)
	q.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// drain tells the client that no further stream is wanted. It does not block.
func (h *http3Conn) drain() {
	h.mu.Lock()
	h.draining = true
	if h.active == 0 {
		h.rest.Reset(h.patience())
	}
	h.mu.Unlock()
	go h.server.Shutdown(context.Background()) // returns when the connection has ended
}

// abort closes at once.
func (h *http3Conn) abort() {
	h.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "")
}

func (h *http3Conn) closeIdle() {
	h.mu.Lock()
	idle := h.active == 0
	h.mu.Unlock()
	if idle {
		h.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "idle")
	}
}

// ServeHTTP follows http.Handler.
func (h *http3Conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.enter()
	defer h.leave()
	h.front.ServeHTTP(w, r)
}

func (h *http3Conn) enter() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active++
	h.rest.Stop()
}

func (h *http3Conn) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active--; h.active == 0 {
		h.rest.Reset(h.patience())
	}
}

// patience returns how long the connection may have nothing to do.
func (h *http3Conn) patience() time.Duration {
	if h.draining {
		return http3Grace
	}
	if limit := h.front.settings.Limits.IdleTimeout.D(); limit > 0 {
		return limit
	}
	return math.MaxInt64
}

// altSvcAge is for how long clients may keep in mind that there is HTTP/3.
const altSvcAge = 24 * time.Hour

// altSvc announces HTTP/3 on the port of that address (RFC 7838, 3).
func altSvc(addr net.Addr) string {
	port := strconv.Itoa(int(exchange.AddrPortOf(addr).Port()))
	return `h3=":` + port + `"; ma=` + strconv.Itoa(int(altSvcAge/time.Second))
}
