package plugin

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// maxSpans bounds the spans of one event; more are dropped.
const maxSpans = 64

// newProvider makes what records spans for the host: those begun under the context of an exchange that is
// sampled, and no others.
func newProvider() *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithResource(resource.Empty()),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())), sdktrace.WithSpanProcessor(new(recorder)))
}

// visitKey is that of the exchange in its context.
type visitKey struct{}

// trace has a context carry the span that the host has for the policy.
func (v *visit) trace(parent string) {
	if parent == "" {
		return
	}
	carrier := propagation.MapCarrier{"traceparent": parent}
	v.ctx = context.WithValue(propagation.TraceContext{}.Extract(v.ctx, carrier), visitKey{}, v)
}

// recorder gives spans to the exchange that they were begun for. It is safe for concurrent use.
type recorder struct {
	open sync.Map // trace.SpanID to *visit
}

var _ sdktrace.SpanProcessor = (*recorder)(nil)

// OnStart follows sdktrace.SpanProcessor.
func (r *recorder) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	if v, _ := parent.Value(visitKey{}).(*visit); v != nil {
		r.open.Store(s.SpanContext().SpanID(), v)
	}
}

// OnEnd follows sdktrace.SpanProcessor.
func (r *recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	if v, found := r.open.LoadAndDelete(s.SpanContext().SpanID()); found {
		v.(*visit).spans.add(s)
	}
}

// ForceFlush follows sdktrace.SpanProcessor.
func (r *recorder) ForceFlush(context.Context) error { return nil }

// Shutdown follows sdktrace.SpanProcessor.
func (r *recorder) Shutdown(context.Context) error { return nil }

// spans are those of an exchange that ended since the last Done. It is safe for concurrent use.
type spans struct {
	mu    sync.Mutex
	ended []*pluginpb.Span
}

func (l *spans) add(s sdktrace.ReadOnlySpan) {
	id := s.SpanContext().SpanID()
	out := &pluginpb.Span{
		Id: id[:], Name: s.Name(),
		Start: uint64(s.StartTime().UnixNano()), Nanoseconds: uint64(s.EndTime().Sub(s.StartTime())),
	}
	if parent := s.Parent(); !parent.IsRemote() {
		id := parent.SpanID()
		out.Parent = id[:]
	}
	for _, a := range s.Attributes() {
		out.Attributes = append(out.Attributes, &pluginpb.Note{Name: string(a.Key), Value: a.Value.String()})
	}
	if s.Status().Code == codes.Error {
		if out.Error = s.Status().Description; out.Error == "" {
			out.Error = "failed"
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ended) < maxSpans {
		l.ended = append(l.ended, out)
	}
}

func (l *spans) take() []*pluginpb.Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.ended
	l.ended = nil
	return ended
}

// ownSpan returns the id of the policy's own span in a context, nil if there is none.
func ownSpan(ctx context.Context) []byte {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsSampled() || s.IsRemote() {
		return nil
	}
	id := s.SpanID()
	return id[:]
}
