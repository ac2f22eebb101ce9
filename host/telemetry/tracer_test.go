package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricsproto "go.opentelemetry.io/proto/otlp/metrics/v1"
	traceproto "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/host/exchange"
)

// collector is an OTLP/HTTP receiver.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	spans   []*traceproto.Span
	metrics map[string]*metricsproto.Metric
	token   string
}

func newCollector(t *testing.T) *collector {
	c := &collector{metrics: make(map[string]*metricsproto.Metric)}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = r.Header.Get("authorization")
	switch r.URL.Path {
	case "/v1/traces":
		var req collecttrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, res := range req.ResourceSpans {
			for _, s := range res.ScopeSpans {
				c.spans = append(c.spans, s.Spans...)
			}
		}
	case "/v1/metrics":
		var req collectmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, res := range req.ResourceMetrics {
			for _, s := range res.ScopeMetrics {
				for _, m := range s.Metrics {
					c.metrics[m.Name] = m
				}
			}
		}
	}
}

func (c *collector) span(t *testing.T, name string) *traceproto.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q among %d", name, len(c.spans))
	return nil
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func start(t *testing.T, cfg Config) *Telemetry {
	t.Helper()
	tel, err := New(cfg, "1.2.3", quietLog())
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func request(fields ...string) *exchange.Exchange {
	x := &exchange.Exchange{
		ID: "r1", Began: exchange.Clock(),
		Request: exchange.Request{
			Method: "GET", Scheme: "http", Authority: "example.com", Target: "/a?secret=1", Version: exchange.HTTP11,
		},
	}
	x.Received = x.Request.Line()
	for i := 0; i < len(fields); i += 2 {
		x.Request.Header.Add(fields[i], fields[i+1])
	}
	return x
}

func TestTraceReachesTheCollector(t *testing.T) {
	c := newCollector(t)
	tel := start(t, Config{OTLP: c.URL, Headers: map[string]string{"authorization": "Bearer t"}})

	x := request("traceparent", sampledParent, "tracestate", "vendor=1")
	span := tel.Tracer.StartServer(x)
	if !x.Sampled {
		t.Fatal("the parent is sampled and the exchange is not")
	}
	ctx, child := StartSpan(x.Context(), "edge")
	var toUpstream exchange.Header
	toUpstream.Add("Traceparent", sampledParent)
	Inject(ctx, &toUpstream)
	child.End()
	x.Response.Status = 503
	x.Failure = &exchange.Failure{Cause: exchange.CauseNoEndpoint, Status: 503}
	tel.Tracer.EndServer(x, span)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	server, edge := c.span(t, "GET"), c.span(t, "edge")
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	if got := hexOf(server.TraceId); got != traceID {
		t.Errorf("trace id: got %s", got)
	}
	if got := hexOf(server.ParentSpanId); got != "00f067aa0ba902b7" {
		t.Errorf("parent: got %s", got)
	}
	if server.Kind != traceproto.Span_SPAN_KIND_SERVER || server.Status.GetCode() != traceproto.Status_STATUS_CODE_ERROR {
		t.Errorf("got %v %v", server.Kind, server.Status)
	}
	if string(edge.ParentSpanId) != string(server.SpanId) {
		t.Error("the child has another parent")
	}
	attrs := attributes(server)
	for key, want := range map[string]string{
		"http.request.method": "GET", "url.path": "/a", "error.type": "no_endpoint", "ergo.request.id": "r1",
	} {
		if attrs[key] != want {
			t.Errorf("%s: got %q, want %q", key, attrs[key], want)
		}
	}
	if got, want := toUpstream.Value("traceparent"), "00-"+traceID+"-"+hexOf(edge.SpanId)+"-01"; got != want {
		t.Errorf("traceparent to upstream: got %s, want %s", got, want)
	}
	if got := toUpstream.Value("tracestate"); got != "vendor=1" {
		t.Errorf("tracestate to upstream: got %q", got)
	}
	if c.token != "Bearer t" {
		t.Errorf("authorization: got %q", c.token)
	}
}

func TestMetricsReachTheCollector(t *testing.T) {
	c := newCollector(t)
	tel := start(t, Config{OTLP: c.URL, Interval: time.Hour})
	red := tel.Metrics.Listener("main")
	red.Begin()
	red.End(time.Millisecond, Successful)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.metrics["ergo_listener_requests_total"]
	if m == nil {
		t.Fatalf("not among the %d exported metrics", len(c.metrics))
	}
	var total float64
	for _, p := range m.GetSum().GetDataPoints() {
		total += p.GetAsDouble()
	}
	if total != 1 {
		t.Errorf("got %v requests, want 1", total)
	}
}

func TestSampling(t *testing.T) {
	for _, c := range []struct {
		name   string
		share  float64
		parent string
		want   bool
	}{
		{"none", 0, "", false},
		{"all", 1, "", true},
		{"the parent decides for", 0, sampledParent, true},
		{"the parent decides against", 1, unsampledParent, false},
		{"a broken parent decides nothing", 1, "00-xyz", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tel := start(t, Config{OTLP: newCollector(t).URL, Sample: c.share})
			x := request("traceparent", c.parent)
			span := tel.Tracer.StartServer(x)
			tel.Tracer.EndServer(x, span)
			if x.Sampled != c.want {
				t.Errorf("got %v", x.Sampled)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestShareOfRootsIsSampled(t *testing.T) {
	tel := start(t, Config{OTLP: newCollector(t).URL})
	tel.Tracer.SetSample(0.25)
	sampled := 0
	for range 4000 {
		x := request()
		if span := tel.Tracer.StartServer(x); span != nil {
			sampled++
		}
	}
	if sampled < 800 || sampled > 1200 { // 7 standard deviations
		t.Errorf("got %d of 4000, want about 1000", sampled)
	}
	_ = tel.Shutdown(t.Context())
}

func TestUnsampledDoesNotAllocate(t *testing.T) {
	tel := start(t, Config{OTLP: newCollector(t).URL})
	defer func() { _ = tel.Shutdown(t.Context()) }()
	for name, x := range map[string]*exchange.Exchange{
		"without parent": request("accept", "*/*"),
		"with parent":    request("accept", "*/*", "traceparent", unsampledParent),
	} {
		got := testing.AllocsPerRun(1000, func() { tel.Tracer.EndServer(x, tel.Tracer.StartServer(x)) })
		if got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
		if got := x.Request.Header.Len(); name == "with parent" && got != 2 {
			t.Errorf("%s: the client's fields changed", name)
		}
	}
}

func TestDeadCollectorHarmsNothing(t *testing.T) {
	dead := newCollector(t)
	dead.Close()
	var lines countingWriter
	tel, err := New(Config{OTLP: dead.URL, Sample: 1}, "1", slog.New(slog.NewTextHandler(&lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * spanQueue {
		x := request()
		tel.Tracer.EndServer(x, tel.Tracer.StartServer(x))
	}
	_ = tel.Shutdown(t.Context())
	if got := lines.count(); got != 1 {
		t.Errorf("got %d log lines, want 1", got)
	}
	if got := find(scrape(t, tel.Metrics), "ergo_otlp_exports_total", "signal=traces", "result=failed").GetCounter().GetValue(); got == 0 {
		t.Error("failed exports are not counted")
	}
}

func TestWithoutCollectorNothingIsTraced(t *testing.T) {
	tel := start(t, Config{Sample: 1})
	x := request("traceparent", sampledParent)
	if span := tel.Tracer.StartServer(x); span != nil || x.Sampled {
		t.Error("traced")
	}
	tel.Tracer.EndServer(x, nil)
	tel.Tracer.SetSample(1)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadCollectorAddressIsRefused(t *testing.T) {
	for _, address := range []string{"http://bad\x7f", "127.0.0.1:4318", "grpc://collector:4317", "http://"} {
		if _, err := New(Config{OTLP: address}, "1", quietLog()); err == nil {
			t.Errorf("%q: no error", address)
		}
	}
}

// TestHungCollectorDoesNotHoldTheShutdown: a collector that takes connections
// and never answers.
func TestHungCollectorDoesNotHoldTheShutdown(t *testing.T) {
	free := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
	defer hung.Close()
	defer close(free)
	tel := start(t, Config{OTLP: hung.URL, Sample: 1})
	x := request()
	tel.Tracer.EndServer(x, tel.Tracer.StartServer(x))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tel.Shutdown(ctx) // what it says is not the point
	}()
	select {
	case <-ended:
	case <-time.After(exportTimeout / 2):
		t.Error("the shutdown waits for the collector")
	}
}
