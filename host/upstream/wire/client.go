package wire

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Bounds on what an endpoint can make us hold or wait for.
const (
	maxHeaderBytes  = 128 << 10
	maxHeaderCount  = 1000
	bufferBytes     = 8 << 10          // for a response's head, and what comes with it
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

// Client carries tries to one endpoint. It owns how connections are pooled; http1
// and net/http, with HTTP/2, frame messages on one connection.
type Client struct {
	scheme, host string // host with port
	connector    *connector
	conns        *pool
	upgrades     *pool // HTTP/1.1 only; nil if the protocol must be h2

	single  http1.Client
	answers sync.Pool // of *answer
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
	c.single = http1.Client{
		Buffers:      &socket.Buffers{Size: bufferBytes},
		Limits:       message.Limits{HeaderBytes: maxHeaderBytes, HeaderCount: maxHeaderCount},
		MaxInforms:   maxInforms,
		ContinueWait: continueWait,
	}
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
	now := exchange.Clock()
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
	for free := maxFreeTries; ; free-- {
		cn, err := pool.acquire(t, t.Room, t.Replay == nil)
		if err != nil {
			if e := t.Ended(); e != nil {
				return e
			}
			return unreachable(err)
		}
		t.X.Endpoint.Conn = &cn.info
		var e *Error
		if cn.multi != nil {
			e = c.carryMulti(cn, t)
		} else {
			e = c.carrySingle(cn, t)
		}
		// Another connection is free of charge if this one had been closed while it
		// was idle and the request never left.
		if e == nil || !e.Stale || e.Sent || isRefusal(e.Err) || free == 0 || !t.Replayable() || t.Ended() != nil {
			return e
		}
	}
}
