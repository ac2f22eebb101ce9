package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

func decisionRef(t testing.TB) ast.Ref {
	t.Helper()
	ref, err := parseDecision("data.ergo.authz")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustInline(t testing.TB, module string) *rules {
	t.Helper()
	r, err := inline("package ergo.authz\n"+module, nil, decisionRef(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadDecision(t *testing.T) {
	for text, want := range map[string]string{
		`true`: "allow", `false`: "refuse 403", `{}`: "refuse 403", `{"allow": true}`: "allow", `{"allow": false, "status": 302}`: "refuse 302",
		`{"allow": true, "headers": {"a": ["1", "2"], "b": null}}`:       "allow a=1 a=2 -b",
		`{"allow": true, "identity": "me"}`:                              "allow by me",
		`{"allow": true, "identity": {"subject": "me", "role": "cook"}}`: "allow by me role=cook",
		`{"body": "no"}`: `refuse 403 "no"`, `{"body": {"no": 1}}`: `refuse 403 json "{\"no\":1}"`,
		`"true"`: "", `1`: "", `null`: "", `[true]`: "", `{"allow": 1}`: "", `{"status": 99}`: "", `{"status": 4.5}`: "", `{"status": "403"}`: "",
		`{"headers": {"a b": "c"}}`: "", `{"headers": {"a": "b\r\nc: d"}}`: "", `{"headers": {"Host": "a"}}`: "", `{"headers": {"a": 1}}`: "",
		`{"headers": {"": "a"}}`: "", `{"response_headers": {"a": null}}`: "", `{"identity": 1}`: "", `{"identity": {"subject": null}}`: "",
		fmt.Sprintf(`{"body": %q}`, strings.Repeat("a", maxBody+1)): "",
	} {
		d, err := readDecision(ast.MustParseTerm(text).Value)
		if want == "" {
			if !errors.Is(err, errDecision) {
				t.Errorf("%.80s: got %+v %v, want it to be none", text, d, err)
			}
			continue
		}
		if got := describe(&d); err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", text, got, err, want)
		}
	}
}

func describe(d *decision) string {
	words := []string{"allow"}
	if !d.allow {
		words = []string{fmt.Sprint("refuse ", d.status)}
	}
	for _, f := range d.headers {
		words = append(words, f.Name+"="+f.Value)
	}
	for _, name := range d.remove {
		words = append(words, "-"+name)
	}
	if d.subject != "" {
		words = append(words, "by "+d.subject)
	}
	for _, f := range d.facts {
		words = append(words, f.Name+"="+f.Value)
	}
	if d.isJSON {
		words = append(words, "json")
	}
	if d.body != nil {
		words = append(words, fmt.Sprintf("%q", d.body))
	}
	return strings.Join(words, " ")
}

// An evaluation ends with its context, also within a built-in.
func TestDecideIsBounded(t *testing.T) {
	for _, module := range []string{
		"allow if { some a in numbers.range(1, 1000000); some b in numbers.range(1, 1000000); a * b == -1 }",
		"allow if count(numbers.range(1, 1000000000)) == 1",
		`allow if count({x | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); x := a * b}) == 1`,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		_, err := mustInline(t, module).decide(ctx, ast.ObjectTerm())
		cancel()
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
			t.Errorf("%s: got %v after %v", module, err, took)
		}
	}
}

func TestDecisionLogIsBounded(t *testing.T) {
	log := newDecisionLog(&logConfig{Decisions: "all"}, nil)
	long := ast.ObjectTerm(entry("request", ast.StringTerm(strings.Repeat("a", 10*maxLine))))
	line := log.format("id", &record{
		path: decisionRef(t), input: long, result: long.Value, err: errors.New(strings.Repeat("é", 10*maxLine)),
	})
	var read struct{ Erased []string }
	if err := json.Unmarshal(line, &read); err != nil || len(line) > maxLine || strings.Join(read.Erased, " ") != "/input /result" {
		t.Errorf("got %d bytes, %v, erased %v", len(line), err, read.Erased)
	}
}

func TestDecisionLogMasks(t *testing.T) {
	log := newDecisionLog(&logConfig{Decisions: "all", Mask: []string{"/input/a~1b/1", "/result/c", "/input/none"}}, nil)
	line := string(log.format("id", &record{
		path:   decisionRef(t),
		input:  ast.MustParseTerm(`{"a/b": ["x", "secret"], "request": {"headers": {"Authorization": "secret"}}}`),
		result: ast.MustParseTerm(`{"c": "secret", "headers": {"Set-Cookie": "secret"}}`).Value,
	}))
	if strings.Contains(line, "secret") || !strings.Contains(line, `"a/b":["x",null]`) || !strings.Contains(line, `"/input/a~1b/1"`) {
		t.Errorf("got %s", line)
	}
}

// archive is a bundle whose rules decide by its revision.
func archive(t testing.TB, revision string) []byte {
	t.Helper()
	const module = "package ergo.authz\nallow := true\nidentity := data.revision\n"
	b := bundle.Bundle{
		Manifest: bundle.Manifest{Revision: revision}, Data: map[string]any{"revision": revision},
		Modules: []bundle.ModuleFile{{Path: "authz.rego", URL: "authz.rego", Raw: []byte(module), Parsed: ast.MustParseModule(module)}},
	}
	b.Manifest.Init()
	var packed bytes.Buffer
	if err := bundle.NewWriter(&packed).UseModulePath(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestBundleIsBounded(t *testing.T) {
	packed := archive(t, strings.Repeat("a", 1<<20))
	if len(packed) > 100<<10 {
		t.Fatalf("got %d bytes, want what packs well", len(packed))
	}
	if _, err := unbundle(packed, &bundleConfig{MaxBytes: 1 << 20}, decisionRef(t)); err == nil || !strings.Contains(err.Error(), "max_bytes") {
		t.Errorf("got %v, want it to be refused", err)
	}
	if _, err := unbundle(packed, &bundleConfig{MaxBytes: 1 << 23}, decisionRef(t)); err != nil {
		t.Error(err)
	}
}

// Rules change while many decide by them: each decision is by one bundle as a whole.
func TestRulesChangeWhileTheyDecide(t *testing.T) {
	config := &config{Bundle: &bundleConfig{URL: "https://example.com/b", Timeout: duration(time.Minute), MaxBytes: 1 << 20}}
	config.decision = decisionRef(t)
	p, err := newPolicy(config, newDecisionLog(&logConfig{}, nil), new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	archives := [][]byte{archive(t, "a"), archive(t, "b")}
	n := 0
	p.source.fetch = func(context.Context, plugin.Call) (*plugin.Reply, error) {
		n++
		return &plugin.Reply{Status: 200, Body: archives[n%2]}, nil
	}
	counted := 0
	p.source.count = func(_ context.Context, changes ...plugin.Measure) error { counted += len(changes); return nil }
	if err := p.source.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := p.inForce()
				v, err := r.decide(t.Context(), ast.ObjectTerm())
				if err != nil {
					t.Error(err)
					return
				}
				if d, err := readDecision(v); err != nil || d.subject != r.revision {
					t.Errorf("got %q by revision %q, %v", d.subject, r.revision, err)
				}
			}
		})
	}
	for range 200 {
		if err := p.source.renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	group.Wait()
	if counted != 201 {
		t.Errorf("got %d bundles counted, want 201", counted)
	}
}

func TestRulesGetTooOld(t *testing.T) {
	now := time.Unix(1000, 0)
	config := &config{Bundle: &bundleConfig{MaxAge: duration(time.Minute)}}
	p, err := newPolicy(config, newDecisionLog(&logConfig{}, nil), new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return now }
	if p.inForce() != nil {
		t.Error("there are rules before there are any")
	}
	p.use(mustInline(t, "allow := true"), now)
	if now = now.Add(time.Minute); p.inForce() == nil {
		t.Error("they are too old before their time")
	}
	if now = now.Add(time.Second); p.inForce() != nil {
		t.Error("they are in force beyond their time")
	}
	if p.use(nil, now); p.inForce() == nil {
		t.Error("they are not in force although they are current")
	}
}

func TestDelay(t *testing.T) {
	for failures, want := range map[int]time.Duration{0: time.Minute, 1: firstDelay, 3: 4 * firstDelay, 15: time.Minute, 1000: time.Minute} {
		for range 100 {
			if got := delay(time.Minute, failures); got < want*9/10 || got > want*11/10+1 {
				t.Errorf("%d failures: got %v, want about %v", failures, got, want)
			}
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	r := mustInline(b, `
		allow if { "admin" in input.identity.roles }
		allow if { input.request.method == "GET"; input.request.segments[0] == "public" }
	`)
	maker, err := newInputMaker(&inputConfig{})
	if err != nil {
		b.Fatal(err)
	}
	request := &plugin.Request{ID: "id", Method: "GET", Scheme: "https", Authority: "example.com", Target: "/public/a?b=c"}
	for _, name := range []string{"accept", "user-agent", "authorization", "x-request-id"} {
		request.Header.Add(name, "a value of some length")
	}
	b.ReportAllocs()
	for b.Loop() {
		input, err := maker.input(request, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.decide(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
}
