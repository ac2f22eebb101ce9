package telemetry

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

// scope names the host as the instrumentation of its spans.
const scope = "github.com/ergoproxy/ergo"

// Tracer makes the server span of an exchange and decides whether there is one:
// as its parent did if the request names one (W3C Trace Context), else by
// chance. It is safe for concurrent use; a nil *Tracer traces nothing.
type Tracer struct {
	tracer    trace.Tracer
	threshold atomic.Uint64 // of 2^63 random values, those below are sampled
}

func newTracer(provider trace.TracerProvider, sample float64) *Tracer {
	t := &Tracer{tracer: provider.Tracer(scope)}
	t.SetSample(sample)
	return t
}

// SetSample changes the share of exchanges without a parent that are traced.
func (t *Tracer) SetSample(share float64) {
	if t != nil {
		t.threshold.Store(uint64(min(max(share, 0), 1) * (1 << 63)))
	}
}

// StartServer begins the server span of an exchange whose request head is
// complete, if it is sampled: it sets Exchange.Sampled, and a context whose span
// is the parent of whatever is recorded on the way. Else it only looks at one
// header field, and what the client sent of trace context passes unchanged. The
// span is for EndServer; it is nil if there is none.
func (t *Tracer) StartServer(x *exchange.Exchange) trace.Span {
	if t == nil {
		return nil
	}
	_, sampled, ok := parentOf(&x.Request.Header)
	if share := t.threshold.Load(); !ok && share > 0 {
		sampled = rand.Uint64()>>1 < share
	}
	if !sampled {
		return nil
	}
	return t.start(x, ok)
}

func (t *Tracer) start(x *exchange.Exchange, hasParent bool) trace.Span {
	ctx := x.Context()
	if hasParent {
		ctx = propagation.TraceContext{}.Extract(ctx, carrier{&x.Request.Header})
	}
	// Spans are read after the exchange: their text is their own.
	path, _, _ := strings.Cut(x.Request.Target, "?")
	attrs := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(knownMethod(x.Request.Method)),
		semconv.URLScheme(strings.Clone(x.Request.Scheme)),
		semconv.URLPath(strings.Clone(path)),
		semconv.ServerAddress(strings.Clone(x.Request.Authority)),
		semconv.NetworkProtocolName("http"),
		semconv.NetworkProtocolVersion(protocolVersion(x.Request.Version)),
		attribute.String("ergo.request.id", strings.Clone(x.ID)),
	}
	if x.ClientIP.IsValid() {
		attrs = append(attrs, semconv.ClientAddress(x.ClientIP.String()))
	}
	if agent := value(&x.Request.Header, exchange.UserAgent); agent != "" {
		attrs = append(attrs, semconv.UserAgentOriginal(strings.Clone(agent)))
	}
	ctx, span := t.tracer.Start(ctx, knownMethod(x.Request.Method), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(x.Begun()), trace.WithAttributes(attrs...))
	x.SetContext(ctx)
	x.Sampled = true
	return span
}

// EndServer ends the span that StartServer returned, after the exchange's last
// byte.
func (t *Tracer) EndServer(x *exchange.Exchange, span trace.Span) {
	if span == nil {
		return
	}
	status := x.Response.Status
	span.SetAttributes(
		semconv.HTTPResponseStatusCode(status),
		semconv.HTTPResponseBodySize(int(x.ResponseBytes)),
		semconv.HTTPRequestBodySize(int(x.RequestBytes)),
		attribute.Int64("ergo.generation", int64(x.Generation)),
	)
	if x.Route.Upstream != "" {
		span.SetAttributes(attribute.String("ergo.upstream", strings.Clone(x.Route.Upstream)))
	}
	if x.AnsweredBy != "" {
		span.SetAttributes(attribute.String("ergo.answered_by", strings.Clone(x.AnsweredBy)))
	}
	switch {
	case x.Failure != nil:
		span.SetAttributes(semconv.ErrorTypeKey.String(string(x.Failure.Cause)))
		span.SetStatus(codes.Error, string(x.Failure.Cause))
	case status >= 500:
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// StartSpan begins a child of the span in ctx. Parts call it only for exchanges
// that are sampled.
func StartSpan(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, name, options...)
}

// Inject makes the span in ctx the parent that h tells the next host of. It is
// called only for exchanges that are sampled.
func Inject(ctx context.Context, h *exchange.Header) {
	propagation.TraceContext{}.Inject(ctx, carrier{h})
}

// TraceID returns the trace that an exchange belongs to, sampled or not; empty
// if there is none.
func TraceID(x *exchange.Exchange) string {
	if x.Sampled {
		return trace.SpanContextFromContext(x.Context()).TraceID().String()
	}
	id, _, _ := parentOf(&x.Request.Header)
	return id
}

var knownMethods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}

// knownMethod keeps span names few (OpenTelemetry HTTP conventions: _OTHER).
func knownMethod(method string) string {
	for _, known := range knownMethods {
		if method == known {
			return known // method ends with the exchange
		}
	}
	return "_OTHER"
}

func protocolVersion(v exchange.Version) string {
	switch v {
	case exchange.HTTP10:
		return "1.0"
	case exchange.HTTP11:
		return "1.1"
	case exchange.HTTP2:
		return "2"
	case exchange.HTTP3:
		return "3"
	}
	return ""
}
