package server

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// conn is a client's connection from accept to close. It belongs to the
// goroutine that serves it; abort alone may come from others.
type conn struct {
	front   *front
	id      uint64
	socket  net.Conn  // nil over QUIC
	secured *tls.Conn // TLS above the socket; nil on a plain connection

	http3   atomic.Pointer[http3Conn] // over QUIC, once the handshake is over
	settled atomic.Bool               // it is, or failed

	once sync.Once
	info exchange.Conn
}

// stream is what HTTP is spoken on.
func (c *conn) stream() net.Conn {
	if c.secured != nil {
		return c.secured
	}
	return c.socket
}

// abort closes at once and lets the client see that it was not in order.
func (c *conn) abort() {
	if c.socket == nil {
		if h := c.http3.Load(); h != nil {
			h.abort()
		}
		return
	}
	if tcp, ok := c.socket.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.socket.Close()
}

// describe returns what is known of the connection once its handshake is over.
func (c *conn) describe() *exchange.Conn {
	c.once.Do(func() {
		c.info = exchange.Conn{
			ID:       c.id,
			Listener: c.front.settings.Name,
		}
		if h := c.http3.Load(); h != nil {
			c.info.Remote, c.info.Local = exchange.AddrPortOf(h.quic.RemoteAddr()), exchange.AddrPortOf(h.quic.LocalAddr())
			state := h.quic.ConnectionState().TLS
			c.info.TLS = exchange.TLSOf(&state)
			return
		}
		c.info.Remote, c.info.Local = exchange.AddrPortOf(c.socket.RemoteAddr()), exchange.AddrPortOf(c.socket.LocalAddr())
		if c.secured != nil {
			state := c.secured.ConnectionState()
			c.info.TLS = exchange.TLSOf(&state)
		}
	})
	return &c.info
}
