package wire

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// carryMulti carries the try on an HTTP/2 connection.
func (c *Client) carryMulti(cn *conn, t *Try) *Error {
	req, err := c.request(t)
	if err != nil {
		cn.finish(true)
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: err}
	}
	reused := cn.used.Load()
	t.wroteHead.Store(false)
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), t.hooks()))
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
	e.Sent = e.Sent && t.wroteHead.Load()
	e.Stale = reused && !e.Sent && e.Blame == BlameUpstream
	return e
}

// hooks makes net/http tell of informational responses, and that a request was
// begun.
func (t *Try) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		Got1xxResponse: t.inform,
		WroteHeaders:   func() { t.wroteHead.Store(true) },
	}
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
		return cn.multi.RoundTrip(req)
	}
	done := make(chan result, 1)
	go func() {
		resp, err := cn.multi.RoundTrip(req)
		done <- result{resp, err}
	}()
	select {
	case r := <-done:
		body.awaited = body.from.waiting.Load()
		return r.resp, r.err
	case <-req.Context().Done():
	case <-cn.below.closed:
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
	r.Status, r.Version, r.Length = resp.StatusCode, exchange.HTTP2, resp.ContentLength
	if r.Status < 200 || r.Status > 599 {
		return refuse(errBadStatus)
	}
	if t.X.Request.Method == "HEAD" || resp.ContentLength == 0 || resp.Body == http.NoBody {
		resp.Body.Close()
		cn.finish(true)
		return nil
	}
	announce(&r.Trailer, resp.Trailer)
	b := &responseBody{resp: resp, conn: cn, x: t.X}
	if !mayBeSilent(&r.Header) {
		b.bound(t)
	}
	r.Body = b
	return nil
}
