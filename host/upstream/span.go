package upstream

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// startSpan begins the client span of a try and makes it the parent that the
// endpoint is told of. Spans are read after the exchange: their text is their own.
func startSpan(t *wire.Try, m *member, number int) trace.Span {
	method := strings.Clone(t.X.Request.Method)
	ctx, span := telemetry.StartSpan(t.X.Context(), method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			semconv.HTTPRequestMethodKey.String(method),
			semconv.ServerAddress(m.address),
			semconv.HTTPRequestResendCount(number),
			attribute.String("ergo.upstream", m.upstream),
		))
	telemetry.Inject(ctx, &t.X.Request.Header)
	return span
}

// endSpan ends it when the response's head is there or will not come.
func endSpan(span trace.Span, t *wire.Try, e *wire.Error) {
	if e != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(e.Cause)))
		span.SetStatus(codes.Error, string(e.Cause))
	} else {
		span.SetAttributes(semconv.HTTPResponseStatusCode(t.Response.Status))
		if t.Response.Status >= 500 {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}
