package server

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// conn is a client's connection, below TLS.
//
// It exists to know what net/http does not tell, and to make sure of what
// net/http leaves open: with responses that begin before the request's body was
// read, it goes on to parse what is left of a broken body as the next request.
// A spoiled connection yields nothing more.
type conn struct {
	net.Conn
	front   *front
	secured *tls.Conn // the TLS above; nil on a plain connection
	id      uint64

	spoiled atomic.Bool
	closed  atomic.Bool

	once sync.Once
	info exchange.Conn
}

// Bounds of the lingering close of a spoiled connection (RFC 9112, 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// Read follows net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.spoiled.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// spoil makes sure that no further request is read.
func (c *conn) spoil() { c.spoiled.Store(true) }

// CloseWrite ends the writing direction alone.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close follows net.Conn. A spoiled connection first gives the client time to
// read the response, which a reset would take from it.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	if c.spoiled.Load() {
		c.CloseWrite()
		c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	err := c.Conn.Close()
	c.front.left(c)
	return err
}

// abort closes at once and lets the client see that it was not in order.
func (c *conn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	if c.closed.Swap(true) {
		c.Conn.Close() // ends a lingering close
		return
	}
	c.Conn.Close()
	c.front.left(c)
}

// describe returns what is known of the connection once a request has come by
// it, and with it the handshake is over.
func (c *conn) describe() *exchange.Conn {
	c.once.Do(func() {
		c.info = exchange.Conn{
			ID:       c.id,
			Listener: c.front.settings.Name,
			Remote:   addrPort(c.RemoteAddr()),
			Local:    addrPort(c.LocalAddr()),
		}
		if c.secured != nil {
			c.info.TLS = describeTLS(c.secured.ConnectionState())
		}
	})
	return &c.info
}

func describeTLS(state tls.ConnectionState) *exchange.TLS {
	t := &exchange.TLS{
		Version:     state.Version,
		CipherSuite: state.CipherSuite,
		ServerName:  state.ServerName,
		Protocol:    state.NegotiatedProtocol,
	}
	if len(state.VerifiedChains) > 0 {
		t.PeerCertificates = state.VerifiedChains[0]
	}
	return t
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

type connKey struct{}

// withConn lets a request find its connection; it follows http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c.(*conn))
}

func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }
