package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
)

// connector makes connections that speak HTTP/1.1, HTTP/2, or what the
// handshake agrees on.
type connector struct {
	Settings
	dialer    net.Dialer
	source    *tlsSource
	protocols []string // ALPN
	transport http.Transport
}

func newConnector(s Settings, source *tlsSource, h1, h2 bool) *connector {
	c := &connector{Settings: s, source: source}
	c.dialer.KeepAlive = keepAlivePeriod
	protocols := new(http.Protocols)
	if h2 {
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(!h1)
		c.protocols = append(c.protocols, "h2")
	}
	if h1 {
		protocols.SetHTTP1(true)
		c.protocols = append(c.protocols, "http/1.1")
	}
	c.transport = http.Transport{
		DialContext:            c.dial,
		DialTLSContext:         c.dialTLS,
		DisableCompression:     true,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait, MaxReceiveBufferPerStream: streamWindow},
	}
	return c
}

// made is how dial tells connect about the socket that net/http asked for.
type made struct {
	sock  *socket
	multi bool
}

type madeKey struct{}

func (c *connector) connect(ctx context.Context) (*conn, error) {
	m := &made{}
	client, err := c.transport.NewClientConn(context.WithValue(ctx, madeKey{}, m), c.Scheme, c.Host)
	if err != nil {
		if m.sock != nil {
			m.sock.Close()
		}
		return nil, err
	}
	return &conn{ClientConn: client, sock: m.sock, multi: m.multi, born: clock()}, nil
}

func (c *connector) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m := ctx.Value(madeKey{}).(*made)
	m.sock = newSocket(raw)
	m.multi = !slices.Contains(c.protocols, "http/1.1")
	return m.sock, nil
}

func (c *connector) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(raw, c.source.config(c.protocols))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	m := ctx.Value(madeKey{}).(*made)
	m.multi = secure.ConnectionState().NegotiatedProtocol == "h2"
	if !m.multi && !slices.Contains(c.protocols, "http/1.1") {
		return nil, errNotHTTP2
	}
	return secure, nil
}
