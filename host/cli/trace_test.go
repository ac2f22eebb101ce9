package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collectors "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// spans receives OTLP/HTTP.
type spans struct {
	mu     sync.Mutex
	byName map[string]*traces.Span // the last of each
	all    []*traces.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req collectors.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" {
		return
	}
	if err != nil || proto.Unmarshal(body, &req) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range req.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				s.all = append(s.all, span)
				s.byName[span.Kind.String()+" "+span.Name] = span
			}
		}
	}
}

func (s *spans) get(name string) *traces.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// has reports whether there is a span of that name and id.
func (s *spans) has(name string, id []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		if span.Kind.String()+" "+span.Name == name && string(span.SpanId) == string(id) {
			return true
		}
	}
	return false
}

// TestTraceOfAnExchange follows one exchange from the client's trace context to
// the upstream's through every part that records.
func TestTraceOfAnExchange(t *testing.T) {
	received := &spans{byName: make(map[string]*traces.Span)}
	collector := httptest.NewServer(received)
	defer collector.Close()
	arrived := make(chan http.Header, 2)
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header.Clone() }))
	defer origin.Close()

	text := manifestText(t, "1", "watch = false\n[telemetry]\notlp = \""+collector.URL+"\"")
	r := runHost(t, folder(t, replaceOnce(t, text, "ergo:echo", origin.URL)))
	ask := func(parent string) (atOrigin http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("traceparent", parent)
		req.Header.Set("baggage", "team=a")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return <-arrived
	}

	const unsampled = "00-00000000000000000000000000000001-00f067aa0ba902b7-00"
	if got := ask(unsampled).Get("traceparent"); got != unsampled {
		t.Errorf("what is not sampled must pass unchanged: got %q", got)
	}
	atOrigin := ask("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if got := atOrigin.Get("baggage"); got != "team=a" {
		t.Errorf("baggage: got %q", got)
	}
	if status := r.stop(); status != exitDone {
		t.Fatalf("exit status %d", status)
	}

	names := []string{"SPAN_KIND_SERVER GET", "SPAN_KIND_INTERNAL tier edge", "SPAN_KIND_INTERNAL tier service", "SPAN_KIND_INTERNAL policy headers", "SPAN_KIND_CLIENT GET"}
	hosttest.Eventually(t, func() bool { return received.get(names[0]) != nil }, "spans arrive")
	for _, name := range names {
		span := received.get(name)
		if span == nil {
			t.Errorf("no span %q", name)
			continue
		}
		if got := hexadecimal(span.TraceId); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("%s: trace id: got %s", name, got)
		}
	}
	if t.Failed() {
		return
	}
	about := make(map[string]string)
	for _, a := range received.get(names[0]).Attributes {
		about[a.Key] = a.Value.GetStringValue()
	}
	if about["ergo.request.id"] == "" || about["ergo.request.id"] != atOrigin.Get("x-request-id") || about["client.address"] != "127.0.0.1" {
		t.Errorf("the server's span is of %v, the origin was told %q", about, atOrigin.Get("x-request-id"))
	}
	for child, parent := range map[string]string{names[1]: names[0], names[2]: names[1], names[3]: names[2], names[4]: names[2]} {
		if string(received.get(child).ParentSpanId) != string(received.get(parent).SpanId) {
			t.Errorf("the parent of %q is not %q", child, parent)
		}
	}
	want := "00-4bf92f3577b34da6a3ce929d0e0e4736-" + hexadecimal(received.get(names[4]).SpanId) + "-01"
	if got := atOrigin.Get("traceparent"); got != want {
		t.Errorf("traceparent at the origin: got %s, want %s", got, want)
	}
}

const tracingPolicy = `
[policy.subject]
source = "plugin:%PROGRAM%"
grants = ["ergo_http"]
http = { hosts = ["%ORIGIN%"], internal = ["127.0.0.1/32"] }
[service]
upstream = "origin"
[[service.stage]]
name = "process"
use = [{ policy = "subject", config = { do = "trace" } }]
`

// TestTraceThroughAProcess follows the trace context into a policy that is a process, and its spans out of it: the
// host exports them, and what the policy calls is told of them.
func TestTraceThroughAProcess(t *testing.T) {
	received := &spans{byName: make(map[string]*traces.Span)}
	collector := httptest.NewServer(received)
	defer collector.Close()
	called := make(chan string, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.Header.Get("traceparent") }))
	defer origin.Close()
	program := filepath.Join(t.TempDir(), "subject")
	if out, err := exec.Command("go", "build", "-o", program, "../process/testdata/subject").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := manifestText(t, "1", "watch = false\n[telemetry]\notlp = \""+collector.URL+"\"")
	text, _, _ = strings.Cut(text, "[service]")
	text += strings.NewReplacer("%PROGRAM%", program, "%ORIGIN%", origin.URL).Replace(tracingPolicy)
	r := runHost(t, folder(t, text))
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	req.Header.Set("x-url", origin.URL)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("got status %d", resp.StatusCode)
	}
	if status := r.stop(); status != exitDone {
		t.Fatalf("exit status %d", status)
	}
	const policy, lookUp, read, fetch = "SPAN_KIND_INTERNAL policy subject", "SPAN_KIND_INTERNAL look up", "SPAN_KIND_INTERNAL read", "SPAN_KIND_CLIENT HEAD"
	hosttest.Eventually(t, func() bool {
		return received.get(policy) != nil && received.get(lookUp) != nil && received.get(read) != nil && received.get(fetch) != nil
	}, "spans arrive")
	for child, parent := range map[string]string{read: lookUp, fetch: lookUp} {
		if string(received.get(child).ParentSpanId) != string(received.get(parent).SpanId) {
			t.Errorf("the parent of %q is not %q", child, parent)
		}
	}
	outer := received.get(lookUp)
	if !received.has(policy, outer.ParentSpanId) || hexadecimal(outer.TraceId) != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("%v is not under the policy's span", outer)
	}
	if outer.StartTimeUnixNano == 0 || outer.EndTimeUnixNano < received.get(fetch).EndTimeUnixNano || len(outer.Attributes) != 2 {
		t.Errorf("got %v", outer)
	}
	if inner := received.get(read); inner.Status.GetMessage() != "nothing there" {
		t.Errorf("got %v", inner)
	}
	want := "00-4bf92f3577b34da6a3ce929d0e0e4736-" + hexadecimal(received.get(fetch).SpanId) + "-01"
	if got := <-called; got != want {
		t.Errorf("traceparent of the call: got %s, want %s", got, want)
	}
}
