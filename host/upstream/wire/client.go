package wire

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
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
	maxFreeTries    = 16 // on other connections, after one that was closed while idle

	// What an HTTP/2 endpoint may send of one response ahead of a client that does
	// not read. There is no such bound over all streams of a connection: those
	// that are not read would hold up the others.
	streamWindow = 512 << 10
)

// Client carries tries to one endpoint over connections of net/http's client. It owns how
// connections are pooled; net/http frames messages on one connection.
type Client struct {
	scheme, host string // host with port
	connector    *connector
	conns        *pool
	upgrades     *pool // HTTP/1.1 only; nil if the protocol must be h2
}

// Settings are what a connection to an endpoint depends on. Users that agree on
// all of it can share a Client.
type Settings struct {
	Scheme   string // "http" or "https"
	Host     string // with port
	Protocol string // "auto", "h1" or "h2", as in manifest.Upstream
	TLS      manifest.UpstreamTLS
	Limits   manifest.Connections
}

// New returns a Client without connections; its user closes it. It fails if a
// file of s.TLS cannot be read; log is told if that happens later, when one has
// changed.
func New(s Settings, log *slog.Logger) (*Client, error) {
	source, err := newTLSSource(s.TLS, log)
	if err != nil {
		return nil, err
	}
	multi := s.Protocol == "h2"
	single := s.Protocol == "h1" || !multi && s.Scheme == "http"
	c := &Client{scheme: s.Scheme, host: s.Host}
	c.connector = newConnector(s, source, !multi, !single)
	c.conns = newPool(s.Limits, single, c.connector.connect)
	switch {
	case single:
		c.upgrades = c.conns
	case !multi:
		c.upgrades = newPool(s.Limits, true, newConnector(s, source, true, false).connect)
	}
	return c, nil
}

// Sweep closes what was idle for too long or is too old. It is to be called about
// once a second.
func (c *Client) Sweep() {
	now := clock()
	c.conns.sweep(now)
	if c.upgrades != nil && c.upgrades != c.conns {
		c.upgrades.sweep(now)
	}
}

// Close refuses new tries, closes idle connections, and lets tries that are on
// their way end.
func (c *Client) Close() {
	c.conns.close()
	if c.upgrades != nil {
		c.upgrades.close()
	}
}

// Carry sends the try's request and fills in its response, whose body and tunnel
// the caller closes. It returns when the response's head is there or the try
// has ended. The Error names neither endpoint nor upstream.
func (c *Client) Carry(t *Try) *Error {
	pool := c.conns
	if t.X.Request.Upgrade != "" {
		pool = c.upgrades
	}
	if pool == nil {
		return &Error{Cause: exchange.CauseProtocol, Blame: BlameHost, Err: errNotUpgradable}
	}
	req, err := c.request(t)
	if err != nil {
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: err}
	}
	for free := maxFreeTries; ; free-- {
		cn, err := pool.acquire(t.Context(), t.Room)
		if err != nil {
			if e := t.Ended(); e != nil {
				return e
			}
			return unreachable(err)
		}
		e := c.carryOn(cn, t, req)
		// Another connection is free of charge if this one had been closed while it
		// was idle and the request never left.
		if e == nil || !e.Stale || e.Sent || isRefusal(e.Err) || free == 0 || !t.Replayable() || t.Ended() != nil {
			return e
		}
	}
}

// carryOn carries the try on one connection.
func (c *Client) carryOn(cn *conn, t *Try, req *http.Request) *Error {
	reused := cn.used.Load()
	in, out := cn.sock.in.Load(), cn.sock.out.Load()
	t.wroteHead.Store(false)
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), t.hooks(cn.multi)))
	body := t.newBody(req)
	resp, err := roundTrip(cn, req, body)
	if err == nil {
		return c.accept(cn, t, resp)
	}
	if body != nil {
		body.Close()
	}
	cn.finish(false)
	e := t.failed(err, body)
	if cn.multi {
		e.Sent = e.Sent && t.wroteHead.Load()
		e.Stale = reused && !e.Sent && e.Blame == BlameUpstream
	} else {
		e.Sent = cn.sock.out.Load() != out
		e.Stale = reused && cn.sock.in.Load() == in
	}
	return e
}

// hooks makes net/http tell of informational responses, and, where the bytes that
// a socket sent do not show it, that a request was begun.
func (t *Try) hooks(multi bool) *httptrace.ClientTrace {
	hooks := &httptrace.ClientTrace{Got1xxResponse: t.inform}
	if multi {
		hooks.WroteHeaders = func() { t.wroteHead.Store(true) }
	}
	return hooks
}

// failed says whose fault it is that net/http could not carry the try, of whose
// body this was the reader.
func (t *Try) failed(err error, body *bodyReader) *Error {
	var unread error // why the client's body could not be read
	if t.Replay != nil {
		unread = t.Replay.ClientError()
	}
	switch e := t.Ended(); {
	case e != nil && !isSilence(unread): // giving up a silent client ends its exchange too
		e.Sent = true
		if body != nil && body.awaited && e.Cause == exchange.CauseTimeout {
			return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Sent: true, Err: errSlowClient}
		}
		return e
	case unread != nil:
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Sent: true, Err: unread}
	}
	return broken(err)
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
		body.awaited = body.from.waiting.Load()
		return r.resp, r.err
	case <-req.Context().Done():
	case <-cn.sock.closed:
	}
	body.awaited = body.from.waiting.Load()
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
func (c *Client) accept(cn *conn, t *Try, resp *http.Response) *Error {
	t.EndInforms()
	r := &t.Response
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
		if !ok || chosen == "" || !exchange.HasToken(t.X.Request.Upgrade, chosen) {
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
	if t.X.Request.Method == "HEAD" || resp.ContentLength == 0 || resp.Body == http.NoBody {
		resp.Body.Close()
		cn.finish(true)
		return nil
	}
	announce(&r.Trailer, resp.Trailer)
	r.Body = &responseBody{resp: resp, conn: cn, x: t.X}
	return nil
}
