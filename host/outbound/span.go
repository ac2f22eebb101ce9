package outbound

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

const scope = "github.com/ergoproxy/ergo"

// startSpan begins the client span of a call that was made for a sampled
// exchange, and makes it the parent that an origin is told of.
func (k *call) startSpan() {
	parent := trace.SpanFromContext(k.ctx)
	if !parent.IsRecording() {
		return
	}
	attrs := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(k.request.Method),
		attribute.String("ergo.policy", k.client.config.Policy),
	}
	if k.target.upstream != "" {
		attrs = append(attrs, attribute.String("ergo.upstream", k.target.upstream))
	} else {
		attrs = append(attrs, semconv.ServerAddress(k.target.url.Hostname()))
	}
	k.ctx, k.span = parent.TracerProvider().Tracer(scope).Start(k.ctx, k.request.Method,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	propagation.TraceContext{}.Inject(k.ctx, carrier{&k.header})
}

func (k *call) endSpan(failure *Error) {
	if k.span == nil {
		return
	}
	if k.status != 0 {
		k.span.SetAttributes(semconv.HTTPResponseStatusCode(k.status))
	}
	switch {
	case failure != nil:
		k.span.SetAttributes(semconv.ErrorTypeKey.String(failure.Kind.String()))
		k.span.SetStatus(codes.Error, failure.Kind.String())
	case k.status >= 400:
		k.span.SetStatus(codes.Error, "")
	}
	k.span.End()
}

// carrier lets a propagator write an exchange's fields.
type carrier struct{ h *exchange.Header }

func (c carrier) Get(key string) string { return c.h.Value(key) }
func (c carrier) Set(key, value string) { c.h.Set(key, value) }
func (c carrier) Keys() []string        { return nil }
