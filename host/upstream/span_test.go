package upstream

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Each try of a sampled exchange has a span, and the endpoint is told of it.
func TestSpans(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, server := provider.Tracer("test").Start(context.Background(), "server")

	var parents [3]atomic.Value
	tries := new(atomic.Int32)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		n := tries.Add(1) - 1
		parents[n].Store(r.Header.Get("traceparent"))
		switch n {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(500)
		}
	})
	set := build(t, registry(t), settings(s.URL))
	x := ask("GET", "/", "")
	x.SetContext(ctx)
	x.Sampled = true
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	ended := spans.Ended()
	if len(ended) != 2 {
		t.Fatalf("got %d spans, want one for each of 2 tries", len(ended))
	}
	for i, span := range ended {
		sc := span.SpanContext()
		if got, want := parents[i].Load(), "00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-01"; got != want {
			t.Errorf("try %d: endpoint was told %v, want %s", i, got, want)
		}
		if span.Parent().SpanID() != server.SpanContext().SpanID() || span.SpanKind() != trace.SpanKindClient || span.Name() != "GET" {
			t.Errorf("try %d: got span %s of kind %v", i, span.Name(), span.SpanKind())
		}
		said := map[string]string{}
		for _, a := range span.Attributes() {
			said[string(a.Key)] = a.Value.String()
		}
		want := map[string]string{"http.request.method": "GET", "server.address": s.URL, "ergo.upstream": "up"}
		if i == 0 {
			want["error.type"] = "reset"
		} else {
			want["http.response.status_code"], want["http.request.resend_count"] = "500", "1"
		}
		for k, v := range want {
			if said[k] != v {
				t.Errorf("try %d: %s: got %q, want %q", i, k, said[k], v)
			}
		}
	}

	// What is not sampled has none, and what the client sent passes unchanged.
	x = ask("GET", "/", "")
	x.SetContext(ctx)
	x.Request.Header.Add("traceparent", "00-11111111111111111111111111111111-2222222222222222-00")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if got := parents[2].Load(); got != "00-11111111111111111111111111111111-2222222222222222-00" || len(spans.Ended()) != 2 {
		t.Errorf("not sampled: endpoint was told %v, %d spans", got, len(spans.Ended()))
	}
}
