package tier

import (
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// textOf returns the text of a span's attribute.
func textOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.AsString()
		}
	}
	return ""
}

func TestSpans(t *testing.T) {
	recorder := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(recorder))
	ctx, root := provider.Tracer("test").Start(t.Context(), "server")
	x := newExchange()
	x.SetContext(ctx)
	x.Sampled = true

	var within oteltrace.SpanContext
	a := &fake{name: "a", head: func(x *exchange.Exchange) (policy.Verdict, error) {
		within = oteltrace.SpanContextFromContext(x.Context())
		return policy.Continue, nil
	}}
	b := &fake{name: "b", head: breaks(policy.Trap)}
	stage := stageOf(a, b, &fake{name: "c", head: answers(403)})
	stage.Uses[1].OnError = skipAll
	carry(t, x, replies(200, ""), newTierWith(t, timed(1<<40), stage))
	root.End()

	want := []struct{ name, phase, verdict, parent string }{
		{"policy a", "request", "continue", "tier service"},
		{"policy b", "request", "failed", "tier service"},
		{"policy c", "request", "answer", "tier service"},
		{"policy a", "response", "continue", "tier service"},
		{"tier service", "", "", "server"},
		{"server", "", "", ""},
	}
	spans := recorder.GetSpans()
	if len(spans) != len(want) {
		t.Fatalf("%d spans, want %d: %v", len(spans), len(want), spans)
	}
	names := map[oteltrace.SpanID]string{}
	for _, s := range spans {
		names[s.SpanContext.SpanID()] = s.Name
	}
	for i, w := range want {
		s := spans[i]
		if s.Name != w.name || textOf(s, "ergo.phase") != w.phase || textOf(s, "ergo.verdict") != w.verdict ||
			names[s.Parent.SpanID()] != w.parent {
			t.Errorf("span %d is %q, phase %q, verdict %q, within %q; want %+v", i, s.Name,
				textOf(s, "ergo.phase"), textOf(s, "ergo.verdict"), names[s.Parent.SpanID()], w)
		}
	}
	if textOf(spans[0], "ergo.policy.version") != "1.0.0" || textOf(spans[0], "ergo.stage") != "only" {
		t.Errorf("attributes are %v", spans[0].Attributes)
	}
	if spans[1].Status.Code != codes.Error {
		t.Errorf("the failed policy's span has status %v", spans[1].Status)
	}
	if within.SpanID() != spans[0].SpanContext.SpanID() {
		t.Error("the policy did not run within its span")
	}
	if oteltrace.SpanFromContext(x.Context()) != root {
		t.Error("the exchange's span is not what it was before the tier")
	}
}

func TestSpanOfFailurePhase(t *testing.T) {
	recorder := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(recorder))
	ctx, root := provider.Tracer("test").Start(t.Context(), "server")
	defer root.End()
	x := newExchange()
	x.SetContext(ctx)
	x.Sampled = true
	stale := &fake{name: "stale", failure: answers(200)}
	carry(t, x, fails(exchange.Failure{Cause: exchange.CauseRefused, Status: 502}), newTier(t, stageOf(stale)))
	spans := recorder.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	if s := spans[1]; textOf(s, "ergo.phase") != "failure" || textOf(s, "ergo.verdict") != "answer" {
		t.Errorf("the span says %v", s.Attributes)
	}
}
