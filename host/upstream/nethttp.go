package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Bounds on what an endpoint can make us hold or wait for.
const (
	maxHeaderBytes  = 128 << 10
	maxInforms      = 32               // 1xx responses before the final one
	continueWait    = time.Second      // for 100 before a body is sent without it
	pingAfter       = 30 * time.Second // of silence on an HTTP/2 connection
	pingWait        = 10 * time.Second
	lastWords       = 100 * time.Millisecond
	keepAlivePeriod = 30 * time.Second
)

// httpClient carries tries over connections of net/http's client. It owns how
// connections are pooled; net/http frames messages on one connection.
type httpClient struct {
	scheme, host string // host with port
	connector    *connector
	conns        *connPool
	upgrades     *connPool // HTTP/1.1 only; nil if the protocol must be h2
}

var _ transport = (*httpClient)(nil)

// link is what a connection to an endpoint depends on. Generations that agree
// on all of it share connections.
type link struct {
	scheme, host string
	protocol     string
	tls          manifest.UpstreamTLS
	limits       manifest.Connections
}

func newHTTPClient(l link) (*httpClient, error) {
	roots, err := newTLSSource(l.tls)
	if err != nil {
		return nil, err
	}
	multi := l.protocol == "h2"
	single := l.protocol == "h1" || l.protocol != "h2" && l.scheme == "http"
	c := &httpClient{scheme: l.scheme, host: l.host}
	c.connector = newConnector(l, roots, !multi, !single)
	c.conns = newConnPool(l.limits, single, c.connector.connect)
	switch {
	case single:
		c.upgrades = c.conns
	case !multi:
		c.upgrades = newConnPool(l.limits, true, newConnector(l, roots, true, false).connect)
	}
	return c, nil
}

func (c *httpClient) sweep(now int64) {
	c.conns.sweep(now)
	if c.upgrades != nil && c.upgrades != c.conns {
		c.upgrades.sweep(now)
	}
}

func (c *httpClient) close() {
	c.conns.close()
	if c.upgrades != nil {
		c.upgrades.close()
	}
}

// connector makes connections that speak HTTP/1.1, HTTP/2, or what the
// handshake agrees on.
type connector struct {
	link
	dialer    net.Dialer
	source    *tlsSource
	protocols []string // ALPN
	transport http.Transport
}

func newConnector(l link, source *tlsSource, h1, h2 bool) *connector {
	c := &connector{link: l, source: source}
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
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait},
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
	client, err := c.transport.NewClientConn(context.WithValue(ctx, madeKey{}, m), c.scheme, c.host)
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

// carry follows transport.
func (c *httpClient) carry(t *try) *Error {
	pool := c.conns
	if t.x.Request.Upgrade != "" {
		pool = c.upgrades
	}
	if pool == nil {
		return &Error{Cause: exchange.CauseProtocol, Blame: BlameHost, Err: errNotUpgradable}
	}
	req, err := c.request(t)
	if err != nil {
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: err}
	}
	for {
		cn, err := pool.acquire(t.ctx, t.room)
		if err != nil {
			if t.ctx.Err() != nil {
				return ended(t.ctx)
			}
			return unreachable(err)
		}
		e := c.carryOn(cn, t, req)
		// Another connection is free of charge if this one had been closed while it
		// was idle and the request never left.
		if e == nil || !e.Stale || e.Sent || !t.replayable() || t.ctx.Err() != nil {
			return e
		}
	}
}

// carryOn carries the try on one connection.
func (c *httpClient) carryOn(cn *conn, t *try, req *http.Request) *Error {
	reused := cn.used.Load()
	in, out := cn.sock.in.Load(), cn.sock.out.Load()
	t.wroteHead.Store(false)
	req = req.WithContext(httptrace.WithClientTrace(t.ctx, t.hooks(cn.multi)))
	body := t.newBody(req)
	resp, err := roundTrip(cn, req, body)
	if err == nil {
		return c.accept(cn, t, resp)
	}
	if body != nil {
		body.Close()
	}
	cn.finish(false)
	e := t.failed(err)
	if cn.multi {
		e.Sent = e.Sent && t.wroteHead.Load()
		e.Stale = reused && !e.Sent
	} else {
		e.Sent = cn.sock.out.Load() != out
		e.Stale = reused && cn.sock.in.Load() == in
	}
	return e
}

// hooks makes net/http tell of informational responses, and, where the bytes that
// a socket sent do not show it, that a request was begun.
func (t *try) hooks(multi bool) *httptrace.ClientTrace {
	hooks := &httptrace.ClientTrace{Got1xxResponse: t.inform}
	if multi {
		hooks.WroteHeaders = func() { t.wroteHead.Store(true) }
	}
	return hooks
}

// failed says whose fault it is that net/http could not carry the try.
func (t *try) failed(err error) *Error {
	if t.ctx.Err() != nil {
		e := ended(t.ctx)
		e.Sent = true
		return e
	}
	if t.replay != nil && t.replay.clientError() != nil {
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Sent: true, Err: t.replay.clientError()}
	}
	return broken(err)
}

// request renders the head of the exchange's request for net/http.
func (c *httpClient) request(t *try) (*http.Request, error) {
	r := &t.x.Request
	if !validRequest(r, t.authority) {
		return nil, errBadRequest
	}
	header, err := toHTTP(&r.Header)
	if err != nil {
		return nil, err
	}
	target, err := c.target(r.Target)
	if err != nil {
		return nil, err
	}
	if r.Upgrade != "" {
		header["Connection"] = []string{"Upgrade"}
		header["Upgrade"] = []string{r.Upgrade}
	}
	return &http.Request{
		Method:     r.Method,
		URL:        target,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Host:       t.authority,
	}, nil
}

// target makes net/http send a request-target byte for byte.
func (c *httpClient) target(target string) (*url.URL, error) {
	if !strings.HasPrefix(target, "//") {
		return &url.URL{Scheme: c.scheme, Host: c.host, Opaque: target}, nil
	}
	// An opaque one would be sent in absolute form.
	path, query, hasQuery := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, errBadRequest
	}
	return &url.URL{
		Scheme: c.scheme, Host: c.host,
		Path: decoded, RawPath: path, RawQuery: query, ForceQuery: hasQuery && query == "",
	}, nil
}

// newBody gives req this try's reader of the client's body; nil if there is
// none. Trailers are complete only at its end; HTTP/1.1 can send them only if
// the length is not told.
func (t *try) newBody(req *http.Request) *bodyReader {
	if t.replay == nil {
		return nil
	}
	body := &bodyReader{from: t.replay}
	t.body = body
	req.Body, req.ContentLength = body, t.x.Request.Length
	if t.x.Request.Length != exchange.UnknownLength {
		return body
	}
	trailer := make(http.Header)
	for _, name := range t.announced {
		trailer[http.CanonicalHeaderKey(name)] = nil
	}
	req.Trailer = trailer
	body.atEnd = func() {
		for _, f := range t.x.Request.Trailer.Fields() {
			if exchange.TrailerAllowed(f.Name) && validField(f.Name, f.Value) {
				trailer.Add(f.Name, f.Value)
			}
		}
	}
	return body
}

type result struct {
	resp *http.Response
	err  error
}

// roundTrip returns when the response's head is there, also if net/http is
// stuck in reading a body for which the client keeps us waiting.
func roundTrip(cn *conn, req *http.Request, body *bodyReader) (*http.Response, error) {
	if body == nil || body.from.inMemory() {
		return cn.RoundTrip(req)
	}
	done := make(chan result, 1)
	go func() {
		resp, err := cn.RoundTrip(req)
		done <- result{resp, err}
	}()
	select {
	case r := <-done:
		return r.resp, r.err
	case <-req.Context().Done():
	case <-cn.sock.closed:
	}
	body.Close()
	wait := time.NewTimer(lastWords)
	defer wait.Stop()
	select {
	case r := <-done:
		if errors.Is(r.err, errDetached) {
			r.err = errBroken
		}
		return r.resp, r.err
	case <-wait.C:
	}
	if !cn.multi { // a stream ends with its context
		cn.sock.Close()
	}
	go func() {
		if r := <-done; r.resp != nil {
			r.resp.Body.Close()
		}
	}()
	return nil, errBroken
}

// accept makes net/http's response the try's.
func (c *httpClient) accept(cn *conn, t *try, resp *http.Response) *Error {
	t.endInforms()
	r := &t.response
	refuse := func(err error) *Error {
		resp.Body.Close()
		cn.finish(false)
		return &Error{Cause: exchange.CauseProtocol, Sent: true, Err: err}
	}
	if err := fromHTTP(&r.Header, resp.Header); err != nil {
		return refuse(err)
	}
	exchange.RemoveHopByHop(&r.Header)
	r.Status, r.Length = resp.StatusCode, resp.ContentLength
	if r.Status == http.StatusSwitchingProtocols {
		both, ok := resp.Body.(io.ReadWriteCloser)
		chosen := resp.Header.Get("Upgrade")
		if !ok || chosen == "" || !exchange.HasToken(t.x.Request.Upgrade, chosen) {
			return refuse(errUpgradeMismatch)
		}
		r.Header.Add("Upgrade", chosen)
		r.Tunnel = &tunnel{ReadWriteCloser: both, conn: cn}
		r.Length = 0
		return nil
	}
	if r.Status < 200 || r.Status > 599 {
		return refuse(errBadStatus)
	}
	if t.x.Request.Method == "HEAD" || resp.ContentLength == 0 || resp.Body == http.NoBody {
		resp.Body.Close()
		cn.finish(true)
		return nil
	}
	announce(&r.Trailer, resp.Trailer)
	r.Body = &responseBody{resp: resp, conn: cn, x: t.x}
	return nil
}
