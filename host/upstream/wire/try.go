package wire

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Try is one attempt to have an exchange answered by one endpoint.
type Try struct {
	// Ctx rules the try and then its response's body. Cancel ends it.
	Ctx       context.Context
	Cancel    context.CancelCauseFunc
	X         *exchange.Exchange
	Authority string   // that the endpoint is told
	Replay    *Replay  // nil without a request body
	Announced []string // trailers of the request that are known beforehand
	Room      *Room

	// Response is what was answered. Trailers go to X.Response, once the body has
	// been read to its end.
	Response exchange.Response

	body      *bodyReader // the try's own view of the request's
	wroteHead atomic.Bool // the request's head, or a part of it, was sent

	mu       sync.Mutex // guards what follows, and x.Sink while the head is awaited
	headDone bool
	informs  int
	informed bool // the client has seen something of this try
}

// OpenBody returns the request's body for this try; nil if there is none.
func (t *Try) OpenBody() io.Reader {
	if t.Replay == nil {
		return nil
	}
	t.body = &bodyReader{from: t.Replay}
	return t.body
}

// Informed reports whether the client has seen a part of an answer.
func (t *Try) Informed() bool { return t.informed }

// Replayable reports whether the request can be sent again.
func (t *Try) Replayable() bool { return t.Replay == nil || t.Replay.Replayable() }

// inform passes an informational response on to the client. The goroutine that
// carries the exchange is held up in carry meanwhile, so the sink has one caller
// at a time.
func (t *Try) inform(status int, fields textproto.MIMEHeader) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.headDone {
		return nil
	}
	if t.informs++; t.informs > maxInforms {
		return errTooManyInforms
	}
	if status == http.StatusContinue || t.X.Sink == nil {
		return nil // the server sends 100 itself, when the body is first read
	}
	var h exchange.Header
	if err := fromHTTP(&h, fields); err != nil {
		return err
	}
	exchange.RemoveHopByHop(&h)
	t.informed = true
	// An error means that the client is gone, which ends the context too.
	_ = t.X.Sink.Inform(status, &h)
	return nil
}

// EndInforms waits for one that is being passed on; none follows.
func (t *Try) EndInforms() {
	t.mu.Lock()
	t.headDone = true
	t.mu.Unlock()
}

// Discard lets go of a response that the client will not see.
func (t *Try) Discard() {
	if t.Response.Body != nil {
		t.Response.Body.Close()
	}
	if t.Response.Tunnel != nil {
		t.Response.Tunnel.Close()
	}
	t.Detach()
}

// Detach sees to it that no further byte of the client's body is read for this
// try, and that whatever it still does ends.
func (t *Try) Detach() {
	if t.body != nil {
		t.body.Close()
	}
	t.Cancel(nil)
}
