package wire

import (
	"io"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// answer is a request and its response over HTTP/1.1, and the response's body.
// It is used again once the exchange is over, of which it holds the text.
type answer struct {
	http1.Trip
	client    *Client
	conn      *conn // nil once given back
	try       *Try
	body      bodyReader      // the try's view of the request's
	announced exchange.Header // trailers of the request
	tunnelled bool            // somebody else may still use the trip
}

var (
	_ http1.Spliceable  = (*answer)(nil)
	_ exchange.Releaser = (*answer)(nil)
)

// carrySingle carries the try on one HTTP/1.1 connection.
func (c *Client) carrySingle(cn *conn, t *Try) *Error {
	a, _ := c.answers.Get().(*answer)
	if a == nil {
		a = new(answer)
	}
	a.client, a.conn, a.try = c, cn, t
	a.prepare(t)
	reused := cn.used.Load()
	err := a.Do()
	t.pumped = t.pumped || a.Pumped()
	if err == nil {
		t.X.OnReset(a)
		return a.accept()
	}
	e := a.failed(err)
	e.Stale = reused && e.Blame == BlameUpstream && !a.Heard() && (e.Cause == exchange.CauseReset || err == socket.ErrUnasked)
	if t.body != nil {
		t.body.Close()
		t.body = nil // is used again
	}
	cn.finish(a.Untouched())
	a.conn = nil
	a.Release()
	return e
}

// prepare says what is sent, and where the response goes.
func (a *answer) prepare(t *Try) {
	r := &t.X.Request
	a.Client, a.Conn, a.Life, a.Until = &a.client.single, a.conn.single, t.X.Life(), t.Until
	a.Request = message.RequestHead{Method: r.Method, Authority: t.Authority, Target: r.Target, Header: &r.Header, Upgrade: r.Upgrade}
	a.Response = message.ResponseHead{Header: &t.Response.Header, Trailer: &t.Response.Trailer}
	a.Informer = a
	if t.Replay == nil {
		return
	}
	a.Request.Framing.Length = r.Length
	a.Whole = t.Replay.whole()
	if a.Whole == nil {
		a.body = bodyReader{from: t.Replay}
		t.body, a.Body = &a.body, &a.body
	}
	if r.Length == exchange.UnknownLength {
		a.Request.Framing.Chunked = true
		for _, name := range t.Announced {
			a.announced.Add(name, "")
		}
		a.Request.Trailer, a.Trailers = &a.announced, &r.Trailer
	}
}

// failed says whose fault it is that there is no response.
func (a *answer) failed(err error) *Error {
	t := a.try
	var unread error // why the client's body could not be read
	awaited := false // the time passed while it was the client that was waited for
	if t.Replay != nil {
		unread = t.Replay.ClientError()
		awaited = t.Replay.waiting.Load()
	}
	e := t.Ended()
	switch {
	case e != nil && !isSilence(unread): // giving up a silent client ends its exchange too
		if awaited && e.Cause == exchange.CauseTimeout {
			e = &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: errSlowClient}
		}
	case unread != nil:
		e = &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: unread}
	case err == errClientGone:
		e = &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: err}
	case err == message.ErrUnwritable || err == http1.ErrBodyLength:
		e = &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: errBadRequest}
	case err == errNotKept:
		e = &Error{Cause: exchange.CauseReset, Blame: BlameHost, Err: err}
	default:
		e = broken(err)
	}
	e.Sent = a.Wrote()
	return e
}

// accept makes the response the try's.
func (a *answer) accept() *Error {
	t, r, head := a.try, &a.try.Response, &a.Trip.Response
	r.Status, r.Version, r.Length = head.Status, head.Version, head.Framing.Length
	if r.Status == 101 {
		r.Header.Add("Upgrade", head.Upgrade)
		r.Length = 0
		r.Tunnel = &singleTunnel{Tunnel: a.Tunnel(), conn: a.conn}
		a.conn, a.tunnelled = nil, true
		return nil
	}
	if a.Over() {
		if t.X.Request.Method != "HEAD" && r.Status != 304 {
			r.Length = 0
		}
		a.giveBack()
		return nil
	}
	// Where the trailers go once they are there.
	head.Trailer = &t.X.Response.Trailer
	if !mayBeSilent(&r.Header) {
		a.Silence = t.Silence
	}
	r.Body = a
	return nil
}

// mayBeSilent reports whether a body is one that has its words come when there is
// something to say.
func mayBeSilent(h *exchange.Header) bool {
	kind, _ := h.GetKnown(exchange.ContentType)
	return hasPrefixFold(kind, "text/event-stream") || hasPrefixFold(kind, "application/grpc")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// giveBack gives the connection back when the trip is over.
func (a *answer) giveBack() {
	if cn := a.conn; cn != nil && a.Over() {
		a.conn = nil
		cn.finish(a.Reusable())
	}
}

// Inform follows http1.Informer. An error means that the client is gone.
func (a *answer) Inform(status int, h *exchange.Header) error {
	sink := a.try.X.Sink
	if sink == nil {
		return nil
	}
	a.try.informed = true
	if sink.Inform(status, h) != nil {
		return errClientGone
	}
	return nil
}

// Read follows io.Reader. With io.EOF the exchange's trailers are complete.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Trip.Read(p)
	if err != nil {
		a.giveBack()
	}
	return n, err
}

// SpliceSource follows http1.Spliceable.
func (a *answer) SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	c, waiting, n, ok = a.Trip.SpliceSource()
	a.giveBack()
	return c, waiting, n, ok
}

// Spliced follows http1.Spliceable.
func (a *answer) Spliced(n int64, err error) {
	a.Trip.Spliced(n, err)
	a.giveBack()
}

// Close follows io.Closer.
func (a *answer) Close() error {
	a.Trip.Close()
	a.giveBack()
	return nil
}

// Release follows exchange.Releaser. What somebody may still look at, in spite of
// the exchange's end, is left to the collector.
func (a *answer) Release() {
	if a.tunnelled {
		return
	}
	a.Close()
	again := !a.Pumped()
	client := a.client
	a.Trip.Release()
	if !again {
		return
	}
	a.announced.Reset()
	a.client, a.try, a.body.from = nil, nil, nil
	client.answers.Put(a)
}

// singleTunnel is a connection that switched protocols.
type singleTunnel struct {
	*http1.Tunnel
	conn *conn
}

var _ io.ReadWriteCloser = (*singleTunnel)(nil)

// Close ends both directions.
func (t *singleTunnel) Close() error {
	err := t.Tunnel.Close()
	t.conn.close()
	return err
}
