package wire

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Try is one attempt to have an exchange answered by one endpoint. Its memory is
// used again (Reset): who carries it keeps nothing of it beyond the end of the
// response's body or tunnel.
type Try struct {
	X *exchange.Exchange
	// Until is when the response's head must be there, on exchange.Clock, and Late
	// what the try fails with otherwise: ErrTimeout or ErrTryTimeout. The life of X
	// rules the try too, and after the head its response's body.
	Until time.Duration
	Late  error
	// Silence is how long nothing may come of the response's body while somebody
	// reads it; 0: any length. Bodies that are meant to be silent, event streams and
	// gRPC's, have no bound.
	Silence   time.Duration
	Authority string   // that the endpoint is told
	Replay    *Replay  // nil without a request body
	Announced []string // trailers of the request that are known beforehand
	Room      *Room

	// Response is what was answered. Trailers go to X.Response, once the body has
	// been read to its end.
	Response exchange.Response

	body      *bodyReader // the try's own view of the request's
	pumped    bool        // which a goroutine of its own reads or has read
	wroteHead atomic.Bool // the request's head, or a part of it, was sent

	// For what can wait for a context only; nil until asked for.
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer

	mu       sync.Mutex // guards what follows, and x.Sink while the head is awaited
	headDone bool
	informs  int
	informed bool // the client has seen something of this try
}

// Reset returns an empty Try: t itself, unless others may still hold on to it.
func (t *Try) Reset() *Try {
	if t == nil || t.Shared() {
		return new(Try)
	}
	t.X, t.Until, t.Late, t.Silence, t.Authority, t.Replay, t.Announced, t.Room = nil, 0, nil, 0, "", nil, nil, nil
	t.Response.Reset()
	t.body, t.headDone, t.informs, t.informed = nil, false, 0, false
	t.wroteHead.Store(false)
	return t
}

// Shared reports whether others may still hold on to the try, and to what it was
// given, when it is over.
func (t *Try) Shared() bool { return t != nil && (t.ctx != nil || t.pumped) }

// Context is for what can wait for a context only, such as net/http: it ends with
// the life of X, at Until unless the response's head is there, and with Detach.
// It costs memory and a timer.
func (t *Try) Context() context.Context {
	if t.ctx == nil {
		ctx, cancel := context.WithCancelCause(t.X.Context())
		late := t.Late
		t.ctx, t.cancel = ctx, cancel
		t.timer = time.AfterFunc(t.Until-exchange.Clock(), func() { cancel(late) })
	}
	return t.ctx
}

// Arrived says that the response's head is there, and that the deadline holds no
// longer. It reports false if that came too late: then whatever waited for the
// try's context has been told to end.
func (t *Try) Arrived() bool { return t.timer == nil || t.timer.Stop() }

// Ended returns why the try cannot go on, as a failure of a request that was not
// sent: the exchange has ended, or the deadline has passed. It is nil if neither
// is so.
func (t *Try) Ended() *Error {
	if cause := t.X.Life().Cause(); cause != nil {
		return Ended(cause)
	}
	if t.Until != 0 && exchange.Clock() >= t.Until {
		return Ended(t.Late)
	}
	if t.ctx != nil && t.ctx.Err() != nil {
		return Ended(context.Cause(t.ctx))
	}
	return nil
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
	if t.cancel != nil {
		t.timer.Stop()
		t.cancel(nil)
	}
}
