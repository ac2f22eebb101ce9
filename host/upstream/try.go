package upstream

import (
	"context"
	"net/http"
	"net/textproto"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// transport carries tries to one endpoint.
type transport interface {
	// carry sends the try's request and fills in its response, whose body and
	// tunnel the caller closes. It returns when the response's head is there or
	// the try's context has ended; the context rules the body too. An Error
	// without an endpoint's or upstream's name is completed by the caller.
	carry(t *try) *Error
	// check asks the endpoint for its health, on a connection of its own.
	check(ctx context.Context, h *manifest.Health, authority string) error
	// sweep closes what was idle for too long. It is called about once a second.
	sweep(now int64)
	// close refuses new tries and lets those on their way end.
	close()
}

// try is one attempt to have an exchange answered by one endpoint.
type try struct {
	ctx       context.Context
	cancel    context.CancelCauseFunc
	x         *exchange.Exchange
	response  exchange.Response // its Trailer goes to x.Response at the end of the body
	authority string            // that the endpoint is told
	replay    *replay           // nil without a request body
	announced []string          // trailers of the request that are known beforehand
	body      *bodyReader       // the try's own view of it
	room      *room
	span      trace.Span // nil if the exchange is not sampled

	wroteHead atomic.Bool // the request's head, or a part of it, was sent

	mu       sync.Mutex // guards what follows, and x.Sink while the head is awaited
	headDone bool
	informs  int
	informed bool // the client has seen something of this try
}

// replayable reports whether the request can be sent again.
func (t *try) replayable() bool { return t.replay == nil || t.replay.replayable() }

// inform passes an informational response on to the client. The goroutine that
// carries the exchange is held up in carry meanwhile, so the sink has one caller
// at a time.
func (t *try) inform(status int, fields textproto.MIMEHeader) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.headDone {
		return nil
	}
	if t.informs++; t.informs > maxInforms {
		return errTooManyInforms
	}
	if status == http.StatusContinue || t.x.Sink == nil {
		return nil // the server sends 100 itself, when the body is first read
	}
	var h exchange.Header
	if err := fromHTTP(&h, fields); err != nil {
		return err
	}
	exchange.RemoveHopByHop(&h)
	t.informed = true
	// An error means that the client is gone, which ends the context too.
	_ = t.x.Sink.Inform(status, &h)
	return nil
}

// endInforms waits for one that is being passed on; none follows.
func (t *try) endInforms() {
	t.mu.Lock()
	t.headDone = true
	t.mu.Unlock()
}

// discard lets go of a response that the client will not see.
func (t *try) discard() {
	if t.response.Body != nil {
		t.response.Body.Close()
	}
	if t.response.Tunnel != nil {
		t.response.Tunnel.Close()
	}
	t.detach()
}

// detach sees to it that no further byte of the client's body is read for this
// try, and that whatever it still does ends.
func (t *try) detach() {
	if t.body != nil {
		t.body.Close()
	}
	t.cancel(nil)
}

// startSpan begins the client span of a sampled exchange and makes it the
// parent that the endpoint is told of.
func (t *try) startSpan(m *member, number int) {
	var ctx context.Context
	ctx, t.span = telemetry.StartSpan(t.ctx, t.x.Request.Method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			semconv.HTTPRequestMethodKey.String(t.x.Request.Method),
			semconv.ServerAddress(m.address),
			semconv.HTTPRequestResendCount(number),
			attribute.String("ergo.upstream", m.upstream),
		))
	t.ctx = ctx
	telemetry.Inject(ctx, &t.x.Request.Header)
}

// endSpan ends it when the response's head is there or will not come.
func (t *try) endSpan(e *Error) {
	if e != nil {
		t.span.SetAttributes(semconv.ErrorTypeKey.String(string(e.Cause)))
		t.span.SetStatus(codes.Error, string(e.Cause))
	} else {
		t.span.SetAttributes(semconv.HTTPResponseStatusCode(t.response.Status))
		if t.response.Status >= 500 {
			t.span.SetStatus(codes.Error, "")
		}
	}
	t.span.End()
}
