package outbound

import (
	"net/http"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestSpan(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := open(t, nil, backend.URL)
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	ctx, parent := provider.Tracer("test").Start(t.Context(), "exchange")
	request := &Request{Method: "GET", URL: backend.URL, Header: fields("traceparent", "forged")}
	resp, err := c.Do(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(ctx, &Request{Method: "GET", URL: backend.URL + "/?status=500"})
	if err != nil {
		t.Fatal(err)
	}
	got := spans.GetSpans()
	if len(got) != 2 || got[0].Parent.SpanID() != parent.SpanContext().SpanID() {
		t.Fatalf("got %d spans, want 2 under the exchange's", len(got))
	}
	seen := hosttest.Decode(t, strings.NewReader(string(resp.Body)))
	want := "00-" + got[0].SpanContext.TraceID().String() + "-" + got[0].SpanContext.SpanID().String() + "-01"
	if told := seen.Header.Get("Traceparent"); told != want {
		t.Errorf("the backend was told %q, want %q", told, want)
	}
	if request.Header.Value("traceparent") != "forged" {
		t.Error("the caller's request was changed")
	}
	if got[1].Status.Code.String() != "Error" {
		t.Errorf("got status %v for a 500", got[1].Status)
	}
}

func TestNoSpanWithoutSample(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := open(t, nil, backend.URL)
	resp := do(t, c, &Request{Method: "GET", URL: backend.URL})
	if seen := hosttest.Decode(t, strings.NewReader(string(resp.Body))); seen.Header.Get("Traceparent") != "" {
		t.Errorf("the backend was told of a trace: %v", seen.Header)
	}
}
