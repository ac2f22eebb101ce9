package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Bounds of connections to origins.
const (
	connectTimeout = 5 * time.Second
	idleTimeout    = 60 * time.Second
	idlePerOrigin  = 8
	pingInterval   = 30 * time.Second
)

// newTransport makes connections that know no proxy and dial only addresses that
// may be called. Its protocols are still to be set.
func newTransport(c *Client, resolver *net.Resolver) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, Resolver: resolver, ControlContext: c.control}
	return &http.Transport{
		Proxy:                  nil, // no policy was granted what the environment names
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.roots},
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true, // a policy gets what was sent
		MaxConnsPerHost:        c.config.Concurrent,
		MaxIdleConnsPerHost:    idlePerOrigin,
		MaxIdleConns:           c.config.Concurrent,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxFieldBytes,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingInterval, PingTimeout: connectTimeout},
	}
}

// readCA reads the authorities that the manifest names in place of the system's,
// for which nil stands.
func readCA(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities: %s holds no certificate", file)
	}
	return pool, nil
}

// control looks at an address at the moment a socket is about to connect to it:
// what a name resolved to before, or will later, does not matter.
func (c *Client) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	return c.addresses.check(at.Addr())
}

// toOrigin sends the request over the client's own connections.
func (k *call) toOrigin(body content) (*answer, error) {
	if k.client.rootsErr != nil {
		return nil, k.client.rootsErr
	}
	req := &http.Request{
		Method: k.request.Method,
		URL:    k.target.url,
		Header: toHTTP(&k.header),
		Host:   k.target.url.Host,
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header["User-Agent"] = nil // else net/http names itself
	}
	k.give(req, body)
	transport := k.client.secure
	if k.grpc && k.target.url.Scheme == "http" {
		transport = k.client.plain2
	}
	resp, err := transport.RoundTrip(req.WithContext(k.ctx))
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, body: resp.Body}
	fromHTTP(&a.header, resp.Header)
	a.trailer = func() *exchange.Header {
		var h exchange.Header
		fromHTTP(&h, resp.Trailer)
		return &h
	}
	return a, nil
}

// give sets the body, which can be sent again on another connection if it is
// whole, and the trailers.
func (k *call) give(req *http.Request, body content) {
	trailer := &k.trailer
	switch {
	case body.stream != nil:
		req.Body, req.ContentLength = body.stream, -1
	case len(body.whole) > 0 || trailer.Len() > 0:
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body.whole)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(body.whole))
	}
	if trailer.Len() > 0 {
		req.Trailer, req.ContentLength = toHTTP(trailer), -1
	}
}
