package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// connector makes connections that speak HTTP/1.1, HTTP/2, or what the
// handshake agrees on.
type connector struct {
	Settings
	dialer    net.Dialer
	source    *tlsSource
	h1, h2    bool
	protocols []string       // ALPN
	transport http.Transport // HTTP/2 alone: golang.org/x/net/http2 as it comes with Go
}

func newConnector(s Settings, source *tlsSource, h1, h2 bool) *connector {
	c := &connector{Settings: s, source: source, h1: h1, h2: h2}
	c.dialer.KeepAlive = keepAlivePeriod
	if h2 {
		c.protocols = append(c.protocols, "h2")
	}
	if h1 {
		c.protocols = append(c.protocols, "http/1.1")
	}
	if !h2 {
		return c
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	c.transport = http.Transport{
		DialContext:            madeBefore,
		DialTLSContext:         madeBefore,
		DisableCompression:     true,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait, MaxReceiveBufferPerStream: streamWindow},
	}
	return c
}

// connect makes a connection.
func (c *connector) connect(ctx context.Context) (*conn, error) {
	raw, err := c.dialer.DialContext(ctx, "tcp", c.Host)
	if err != nil {
		return nil, err
	}
	if c.Scheme != "https" {
		if c.h1 {
			return newSingle(raw, nil), nil
		}
		below := watch(raw)
		return c.newMulti(ctx, below, below, nil)
	}
	below := watch(raw)
	secure := tls.Client(below, c.source.config(c.protocols))
	if err := secure.HandshakeContext(ctx); err != nil {
		below.Close()
		return nil, err
	}
	state := secure.ConnectionState()
	multi := state.NegotiatedProtocol == "h2"
	switch {
	case !multi && !c.h1:
		below.Close()
		return nil, errNotHTTP2
	case !multi:
		return newSingle(secure, &state), nil
	}
	return c.newMulti(ctx, below, secure, &state)
}

// newSingle returns an HTTP/1.1 connection; state is nil if it is plain.
func newSingle(c net.Conn, state *tls.ConnectionState) *conn {
	return &conn{single: socket.New(c), secure: state != nil, info: describe(c, state), born: exchange.Clock()}
}

// madeKey finds the connection that madeBefore returns.
type madeKey struct{}

// madeBefore gives net/http the connection that it is to speak HTTP/2 on.
func madeBefore(ctx context.Context, _, _ string) (net.Conn, error) {
	return ctx.Value(madeKey{}).(net.Conn), nil
}

func (c *connector) newMulti(ctx context.Context, below *watched, top net.Conn, state *tls.ConnectionState) (*conn, error) {
	client, err := c.transport.NewClientConn(context.WithValue(ctx, madeKey{}, top), c.Scheme, c.Host)
	if err != nil {
		below.Close()
		return nil, err
	}
	return &conn{multi: client, below: below, info: describe(below, state), born: exchange.Clock()}, nil
}

// describe says what exchanges are told of a connection; state is nil if it is
// plain.
func describe(c net.Conn, state *tls.ConnectionState) exchange.Conn {
	info := exchange.Conn{Remote: exchange.AddrPortOf(c.RemoteAddr()), Local: exchange.AddrPortOf(c.LocalAddr())}
	if state != nil {
		info.TLS = exchange.TLSOf(state)
	}
	return info
}
