package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

func pythonHeads(t *testing.T, program python) {
	p := program.load(t, `{}`)
	for _, do := range []string{"", "later"} {
		x := newExchange("x-do", do)
		if verdict, err := visitOnce(t, p, x); err != nil || verdict != policy.Continue || x.Request.Header.Value("x-seen") != "GET /a?b" {
			t.Errorf("%q: got %v, %v, %v", do, verdict, err, x.Request.Header.Fields())
		}
	}
	x := newExchange("x-do", "change", "x-gone", "1", "X-Gone", "2", "x-many", "0")
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	r := &x.Request
	if r.Method != "POST" || r.Target != "/changed?b" || r.Authority != "changed.example" || r.Header.Has("x-gone") {
		t.Errorf("got %s %s %s %v", r.Method, r.Authority, r.Target, r.Header.Fields())
	}
	if got := strings.Join(r.Header.AppendValues(nil, "x-many"), ","); got != "0,1,2" {
		t.Errorf("got x-many %s, want 0,1,2", got)
	}
	x = newExchange("x-do", "answer")
	if verdict, err := visitOnce(t, p, x); err != nil || verdict != policy.Answer {
		t.Fatal(verdict, err)
	}
	if a := &x.Response; a.Status != 418 || a.Header.Value("x-pot") != "tea" || bodyOf(t, a.Body) != "short and stout" {
		t.Errorf("got %d %v", a.Status, a.Header.Fields())
	}
	x = newExchange("x-do", "bytes", "x-bytes", "\xfc\u00fc\xff")
	if _, err := visitOnce(t, p, x); err != nil || x.Request.Header.Value("x-copy") != "\xfc\u00fc\xff" {
		t.Errorf("got %v, %q", err, x.Request.Header.Value("x-copy"))
	}
	x = newExchange("x-do", "show", "X-Y", "1", "x-y", "2")
	x.Request.Body = io.NopCloser(strings.NewReader("b"))
	x.Sampled = true
	x.SetContext(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	})))
	want := "/a b https 192.0.2.7 test HTTP/1.1 False 00-01000000000000000000000000000000-0200000000000000-01 ['1', '2']"
	if _, err := visitOnce(t, p, x); err != nil || bodyOf(t, x.Response.Body) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	p = program.load(t, `{"do": "list", "fields": ["Accept"]}`)
	if got := answerOf(t, p, "Accept", "*/*", "cookie", "secret", "Authorization", "secret"); got != "Accept" {
		t.Errorf("got fields %q, want Accept alone", got)
	}
}

func pythonResponses(t *testing.T, program python) { testResponse(t, program.load(t, `{}`)) }

func pythonHeldBodies(t *testing.T, program python) {
	p := program.bench(t, holding, `{"do": "body"}`).load(t)
	for _, body := range []string{"", "a", strings.Repeat("b", maxChunk), strings.Repeat("c", 3*maxChunk+1), "refuse"} {
		x := newExchange()
		x.Request.Body = exchange.NewBuffered([]byte(body))
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		verdict, err := p.(policy.RequestBody).OnRequestBody(i, x)
		if err != nil {
			t.Fatal(err)
		}
		if body == "refuse" {
			if verdict != policy.Answer || x.Response.Status != 422 {
				t.Errorf("got %v, status %d", verdict, x.Response.Status)
			}
			p.Release(i)
			continue
		}
		if got := bodyOf(t, x.Request.Body); got != strings.ToUpper(body) || x.Request.Header.Value("x-length") != strconv.Itoa(len(body)) {
			t.Errorf("got a request body of %d bytes, fields %v, want %d in upper case", len(got), x.Request.Header.Fields(), len(body))
		}
		x.Response.Status = 200
		x.Response.Body = exchange.NewBuffered([]byte(body))
		if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
			t.Fatal(err)
		}
		if err := p.(policy.ResponseBody).OnResponseBody(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Response.Body); got != strings.ToUpper(body) {
			t.Errorf("got a response body of %d bytes, want %d in upper case", len(got), len(body))
		}
		p.Release(i)
	}
}

// A policy may want less of a body than policy.toml says.
func pythonHold(t *testing.T, program python) {
	p := program.bench(t, strings.ReplaceAll(holding, "buffer", "peek"), `{"do": "body"}`).load(t)
	for told, want := range map[string]int64{"0": 0, "3": 3} {
		x := newExchange("x-hold", told)
		x.Request.Body = io.NopCloser(strings.NewReader("abcdef"))
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := p.(policy.BodyBound).RequestBound(i); got != want {
			t.Errorf("told %s: got a bound of %d, want %d", told, got, want)
		}
		p.Release(i)
	}
}

func pythonStreamedBodies(t *testing.T, program python) {
	p := program.bench(t, streaming, `{"do": "stream"}`).load(t)
	for _, size := range []int{0, 1, maxChunk, 2<<20 + 1} {
		x := newExchange()
		x.Request.Body = io.NopCloser(strings.NewReader(strings.Repeat("s", size)))
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Request.Body); got != strings.Repeat("S", 2*size)+"!" {
			t.Errorf("of %d bytes: got %d of the request", size, len(got))
		}
		x.Response.Status = 200
		x.Response.Body = io.NopCloser(strings.NewReader(strings.Repeat("r", size)))
		if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Response.Body); got != strings.Repeat("R", 2*size)+"!" {
			t.Errorf("of %d bytes: got %d of the response", size, len(got))
		}
		p.Release(i)
	}
	testPoison(t, p)
}

func pythonFailure(t *testing.T, program python) {
	b := program.bench(t, policyFile, `{"do": "failure"}`)
	p := b.load(t)
	x := newExchange()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	x.Fail(&exchange.Failure{Cause: exchange.CauseTimeout, Status: 504})
	verdict, err := p.(policy.Failure).OnFailure(i, x)
	if err != nil || verdict != policy.Answer || bodyOf(t, x.Response.Body) != "rescued from 504" {
		t.Error(verdict, err, x.Response.Status)
	}
	x.Response.Trailer.Add("x-before", "there")
	if err := p.(policy.Trailers).OnTrailers(i, x); err != nil {
		t.Fatal(err)
	}
	if got := x.Response.Trailer; got.Value("x-trailer") != "added" || got.Value("x-before") != "there" {
		t.Errorf("got trailers %v", got.Fields())
	}
	p.Release(i)
	eventually(t, "it was told of the end", func() bool { return strings.Contains(b.log(), "/a?b ended with 203 in time: True") })
}

func pythonRefuses(t *testing.T, program python) {
	for config, says := range map[string]string{
		`{"refuse": "no tea today"}`: "ValueError: no tea today", `{"do": "none"}`: "has none of the methods of a policy",
	} {
		err := loadError(t, program.bench(t, policyFile, config))
		if kind := kindOf(t, err); kind != policy.Config || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got kind %v: %v", config, kind, err)
		}
	}
	broken := append(bytes.Clone(program), "\nthis is no Python\n"...)
	if err := loadError(t, python(broken).bench(t, policyFile, `{}`)); kindOf(t, err) != policy.Load || !strings.Contains(err.Error(), "SyntaxError") {
		t.Errorf("got %v", err)
	}
}

// What it prepares it has before the first exchange, and goes on from there.
func pythonOwn(t *testing.T, program python) {
	p := program.asking(t, `{"do": "own"}`).load(t)
	if got := answerOf(t, p); got != "s3cret" {
		t.Errorf("got %q", got)
	}
	eventually(t, "it asks beside exchanges", func() bool { return answerOf(t, p, "x-do", "twenty") == "20" })
	if err := loadError(t, program.bench(t, policyFile, `{"do": "own"}`)); !strings.Contains(err.Error(), "HostError") {
		t.Errorf("got %v", err)
	}
}

func pythonKeys(t *testing.T, program python) {
	source := program.load(t, `{"do": "keys"}`).(policy.KeySource)
	versions, err := source.Keys(t.Context(), "orders")
	if err != nil || len(versions) != 2 || versions[0].ID != "v2" || string(versions[0].Material) != "orders" || string(versions[1].Material) != "one" {
		t.Errorf("got %v, %v", versions, err)
	}
	for name, says := range map[string]string{"none": "'none'", "broken": "exception of type ValueError"} {
		if _, err := source.Keys(t.Context(), name); err == nil || err.Error() != says {
			t.Errorf("%s: got %v, want %q", name, err, says)
		}
	}
}

// everyReason lists those that a policy can be told, as the contract has them.
func everyReason() string {
	var all []string
	for n := range len(pluginpb.Reason_name) {
		all = append(all, fmt.Sprint(n, " ", pluginpb.Reason(n)))
	}
	return strings.Join(all, " ")
}

func pythonCapabilities(t *testing.T, program python) {
	b := program.asking(t, `{}`)
	p := b.load(t)
	testRoute(t, p)
	for _, c := range []struct{ do, want string }{
		{"secret", "[b's3cret', None]"},
		{"count", "None b'/a?b' 1"},
		{"count", "None b'/a?b' 2"},
		{"seal", "b'text' [True, False] ('v1', 'XAES-256-GCM') MISMATCH"},
		{"who", "  {}"},
		{"reasons", everyReason()},
	} {
		if got := answerOf(t, p, "x-do", c.do); got != c.want {
			t.Errorf("%s: got %q, want %q", c.do, got, c.want)
		}
	}
	x := newExchange("x-do", "who")
	if err := errors.Join(x.Identify("somebody", "jwt"), x.AddAttribute("role", "cook")); err != nil {
		t.Fatal(err)
	}
	if _, err := visitOnce(t, p, x); err != nil || bodyOf(t, x.Response.Body) != "somebody jwt {'role': 'cook'}" {
		t.Error(err)
	}
	for range 2 {
		if _, err := visitOnce(t, p, newExchange("x-do", "measure")); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]struct {
		kind  telemetry.MetricKind
		value uint64
	}{"seen": {telemetry.MetricCounter, 2}, "open": {telemetry.MetricGauge, 4}, "level": {telemetry.MetricGauge, 5}} {
		if got := measured(t, b, want.kind, name); got != want.value {
			t.Errorf("%s: got %d, want %d", name, got, want.value)
		}
	}
	p = program.load(t, `{}`)
	for _, do := range []string{"route", "count", "secret"} {
		if _, err := visitOnce(t, p, newExchange("x-do", do)); kindOf(t, err) != policy.Trap {
			t.Errorf("%s, not granted: got %v, want a trap", do, err)
		}
	}
}

func pythonFetch(t *testing.T, program python) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-From", r.Header.Get("X-From"))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	}))
	defer service.Close()
	b := program.asking(t, `{"do": "fetch"}`)
	b.spec.Granted.HTTP = outbound.New(outbound.Config{
		Policy: "subject", Hosts: []string{service.URL}, Methods: []string{"POST"},
		Internal:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RequestBytes: 1 << 10, ResponseBytes: 1 << 10, Timeout: 10 * time.Second, Concurrent: 8,
	}, outbound.Options{})
	p := b.load(t)
	x := newExchange("x-url", service.URL+"/tea")
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	if r := &x.Response; r.Status != 201 || r.Header.Value("x-from") != "python" || bodyOf(t, r.Body) != "POST tea?" {
		t.Errorf("got %d %v", r.Status, r.Header.Fields())
	}
	if got := answerOf(t, p, "x-url", "http://192.0.2.1/"); !strings.Contains(got, "is not granted") {
		t.Errorf("elsewhere: got %q", got)
	}
}
