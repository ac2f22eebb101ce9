package telemetry

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// ForeignSpan is one that began and ended outside the host, in a policy's process.
type ForeignSpan struct {
	ID, Parent trace.SpanID // Parent zero: the span in the context
	Name       string
	Start, End time.Time
	Attributes []attribute.KeyValue
	Error      string // why it failed
}

// RecordForeign records a span as one of the trace in ctx. It is called only for exchanges that are sampled.
func RecordForeign(ctx context.Context, s *ForeignSpan) {
	within := Under(ctx, s.Parent)
	_, span := StartSpan(context.WithValue(within, spanIDKey{}, s.ID), s.Name,
		trace.WithTimestamp(s.Start), trace.WithAttributes(s.Attributes...))
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	}
	span.End(trace.WithTimestamp(s.End))
}

// Under returns a context that what is begun in it has for parent a span that is not the host's, of the trace in
// ctx; with a zero id it is ctx.
func Under(ctx context.Context, id trace.SpanID) context.Context {
	if !id.IsValid() {
		return ctx
	}
	return trace.ContextWithSpan(ctx, foreign{trace.SpanFromContext(ctx), id})
}

// foreign stands for a span of which the host knows the id alone.
type foreign struct {
	trace.Span
	id trace.SpanID
}

// SpanContext follows trace.Span.
func (f foreign) SpanContext() trace.SpanContext { return f.Span.SpanContext().WithSpanID(f.id) }

// spanIDKey is that of the id that the next span is to have.
type spanIDKey struct{}

// ids gives spans the id that their context says, and else a random one. It is safe for concurrent use.
type ids struct{}

var _ sdktrace.IDGenerator = ids{}

// NewIDs follows sdktrace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (t trace.TraceID, s trace.SpanID) {
	for !t.IsValid() {
		binary.NativeEndian.PutUint64(t[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(t[8:], rand.Uint64())
	}
	return t, g.NewSpanID(ctx, t)
}

// NewSpanID follows sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (s trace.SpanID) {
	if given, _ := ctx.Value(spanIDKey{}).(trace.SpanID); given.IsValid() {
		return given
	}
	for !s.IsValid() {
		binary.NativeEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}
