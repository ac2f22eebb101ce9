// Package policies has the cases of all shipped policies run in the real host.
package policies

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/capability"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
)

// TestCases runs every policies/*/cases.toml against the module beside it, or
// against one that policies/build left in the folder ERGO_POLICIES.
func TestCases(t *testing.T) { runCases(t, openEngine(t), "shared") }

// A policy acts alike in instances that were started, in clones of one that was, and
// in clones that are reset after each exchange.
func TestCasesInPlainInstances(t *testing.T) {
	runCases(t, openEngineWith(t, wasm.Options{HeapMemory: true}), "shared")
}

func TestCasesInFreshInstances(t *testing.T) { runCases(t, openEngine(t), "exchange") }

func TestPoliciesAreCloned(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is cloned here")
	}
	engine := openEngine(t)
	for _, name := range shipped(t) {
		s := newSuite(t, engine, name)
		if why := s.load(t, "example", s.artifact.File.Example).Stats().Plain; why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}

// The modules behave alike before they are rewritten to be metered.
func TestCasesUnmetered(t *testing.T) {
	if raceDetector {
		t.Skip("it is about the guests, which the race detector does not see")
	}
	runCases(t, openEngineWith(t, wasm.Options{Unmetered: true}), "shared")
}

func runCases(t *testing.T, engine *wasm.Engine, isolation string) {
	for _, name := range shipped(t) {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, engine, name)
			s.isolation = isolation
			s.run(t, s.readCases(t, filepath.Join(name, "cases.toml")))
		})
	}
}

func openEngine(t testing.TB) *wasm.Engine { return openEngineWith(t, wasm.Options{}) }

func openEngineWith(t testing.TB, options wasm.Options) *wasm.Engine {
	t.Helper()
	options.Capabilities = []wasm.HostModule{capability.Route(), capability.Log()}
	engine, err := wasm.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// shipped lists the policies by the names of their folders.
func shipped(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("*/policy.toml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	for i, file := range names {
		names[i] = filepath.Dir(file)
	}
	return names
}

// suite is one artifact under test.
type suite struct {
	loader    *httpwasm.Loader
	artifact  *policy.Artifact
	isolation string
}

func newSuite(t testing.TB, engine *wasm.Engine, name string) *suite {
	t.Helper()
	s := &suite{loader: httpwasm.NewLoader(engine)}
	var err error
	if s.artifact, err = policy.LoadArtifact(name); err != nil {
		t.Fatal(err)
	}
	rebuilt := os.Getenv("ERGO_POLICIES")
	if rebuilt == "" {
		return s
	}
	text, err := os.ReadFile(filepath.Join(name, "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(rebuilt, name, "policy.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if s.artifact, err = policy.NewArtifact(name, text, module); err != nil {
		t.Fatal(err)
	}
	return s
}

// readCases reads a cases.toml, with the artifact's example among its
// configurations.
func (s *suite) readCases(t testing.TB, file string) *caseFile {
	t.Helper()
	cases := readCases(t, file)
	if cases.Configs == nil {
		cases.Configs = map[string]map[string]any{}
	}
	cases.Configs["example"] = s.artifact.File.Example
	return cases
}

func (s *suite) run(t *testing.T, cases *caseFile) {
	loaded := map[string]policy.Policy{}
	for name, config := range cases.Configs {
		loaded[name] = s.load(t, name, config)
	}
	for _, c := range cases.Refuse {
		t.Run("refuse "+c.Name, func(t *testing.T) { s.refuse(t, c) })
	}
	// Twice, because an instance that has carried other exchanges must act like a
	// fresh one.
	for round := range 2 {
		for _, c := range cases.Cases {
			p := loaded[cmp.Or(c.Config, "example")]
			if p == nil {
				t.Fatalf("case %q: there is no config %q", c.Name, c.Config)
			}
			t.Run(fmt.Sprintf("%d %s", round+1, c.Name), func(t *testing.T) { c.run(t, p) })
		}
	}
}

func (s *suite) spec(t testing.TB, config map[string]any) policy.Spec {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Spec{
		Name:     s.artifact.File.Name,
		Artifact: s.artifact,
		Config:   text,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Granted:  new(policy.Granted),
		Settings: manifest.Policy{Grants: s.artifact.File.Capabilities, Isolation: s.isolation, Limits: manifest.Limits{
			Memory: 64 << 20, Time: manifest.Duration(10 * time.Second), Instances: 1,
			Wait: manifest.Duration(time.Second), RequestBody: 1 << 20, ResponseBody: 1 << 20, LogLines: 1000,
		}},
	}
}

func (s *suite) load(t testing.TB, name string, config map[string]any) policy.Policy {
	t.Helper()
	spec := s.spec(t, config)
	if wrong := s.artifact.CheckConfig(spec.Config); wrong != nil {
		t.Fatalf("config %s: schema: %v", name, wrong)
	}
	p, err := s.loader.Load(context.Background(), spec)
	if err != nil {
		t.Fatalf("config %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// refuse checks that a configuration is refused, by whom and why.
func (s *suite) refuse(t *testing.T, c refuseCase) {
	var said strings.Builder
	spec := s.spec(t, c.Config)
	spec.Log = slog.New(slog.NewTextHandler(&said, nil))
	wrong := s.artifact.CheckConfig(spec.Config)
	switch c.By {
	case "schema":
		for _, violation := range wrong {
			fmt.Fprintln(&said, violation)
		}
		if wrong == nil {
			t.Error("the schema takes it")
		}
	case "policy":
		if wrong != nil {
			t.Errorf("the schema refuses it before the policy can: %v", wrong)
		}
		p, err := s.loader.Load(context.Background(), spec)
		if err == nil {
			_ = p.Close(context.Background())
			t.Error("the policy takes it")
		}
		fmt.Fprintln(&said, err)
	default:
		t.Fatalf("by %q: expected schema or policy", c.By)
	}
	if !strings.Contains(said.String(), c.Says) {
		t.Errorf("got %s, want it to say %q", &said, c.Says)
	}
}

// known are the upstreams of a case.
type known []string

func (k known) HasUpstream(name string) bool { return slices.Contains(k, name) }

func (c *exchangeCase) run(t *testing.T, p policy.Policy) {
	if (c.Answer == nil) == (c.Forward == nil) {
		t.Fatal("a case wants either answer or forward")
	}
	x := c.exchange(t)
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	verdict, err := p.(policy.RequestHead).OnRequestHead(i, x)
	if err != nil {
		t.Fatal(err)
	}
	if c.Answer != nil {
		if verdict != policy.Answer {
			t.Fatalf("the request went on to %s %s", x.Request.Method, x.Request.Target)
		}
		c.Answer.check(t, "answer", &x.Response)
		return
	}
	if verdict != policy.Continue {
		t.Fatalf("the policy answered %d %q", x.Response.Status, bodyOf(t, &x.Response))
	}
	c.Forward.check(t, x)
	x.Route.Sent = true
	c.Upstream.answer(x)
	if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	if c.Response != nil {
		c.Response.check(t, "response", &x.Response)
	}
}

func (c *exchangeCase) exchange(t testing.TB) *exchange.Exchange {
	t.Helper()
	client, err := netip.ParseAddr(cmp.Or(c.Request.Client, "192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange.Exchange{
		ID:        "case",
		Conn:      &exchange.Conn{Remote: netip.AddrPortFrom(client, 4711)},
		ClientIP:  client,
		Upstreams: known(c.Upstreams),
	}
	x.Request = exchange.Request{
		Method:    cmp.Or(c.Request.Method, "GET"),
		Scheme:    "https",
		Authority: cmp.Or(c.Request.Host, "example.com"),
		Target:    cmp.Or(c.Request.Target, "/"),
		Version:   exchange.HTTP11,
	}
	addAll(&x.Request.Header, c.Request.Header)
	if c.Request.Body != "" {
		x.Request.Body = io.NopCloser(strings.NewReader(c.Request.Body))
		x.Request.Length = int64(len(c.Request.Body))
	}
	return x
}

// answer makes the upstream's response; a nil one is an empty 200.
func (r *responseInput) answer(x *exchange.Exchange) {
	x.Response.Status = 200
	if r == nil {
		return
	}
	x.Response.Status = cmp.Or(r.Status, 200)
	addAll(&x.Response.Header, r.Header)
	x.Response.Body = io.NopCloser(strings.NewReader(r.Body))
	x.Response.Length = int64(len(r.Body))
}

func addAll(header *exchange.Header, fields map[string]values) {
	for name, list := range fields {
		for _, value := range list {
			header.Add(name, value)
		}
	}
}

func (w *responseWanted) check(t *testing.T, where string, r *exchange.Response) {
	t.Helper()
	if w.Status != 0 && r.Status != w.Status {
		t.Errorf("%s: got status %d, want %d", where, r.Status, w.Status)
	}
	for name, want := range w.Header {
		want.check(t, where, name, &r.Header)
	}
	if body := bodyOf(t, r); w.Body != nil && !strings.Contains(body, *w.Body) {
		t.Errorf("%s: got body %q, want it to contain %q", where, body, *w.Body)
	}
}

func bodyOf(t *testing.T, r *exchange.Response) string {
	t.Helper()
	if r.Body == nil {
		return ""
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func (w *requestWanted) check(t *testing.T, x *exchange.Exchange) {
	t.Helper()
	same(t, "method", x.Request.Method, w.Method)
	same(t, "target", x.Request.Target, w.Target)
	same(t, "host", x.Request.Authority, w.Host)
	same(t, "hash key", x.Route.HashKey, w.HashKey)
	same(t, "timeout", x.Route.Timeout.String(), w.Timeout)
	if w.Upstream != nil && !slices.Contains(strings.Split(*w.Upstream, "|"), x.Route.Upstream) {
		t.Errorf("upstream: got %q, want %q", x.Route.Upstream, *w.Upstream)
	}
	if w.Retries != nil && (x.Route.Retries != *w.Retries || !x.Route.RetriesSet) {
		t.Errorf("retries: got %d (set %v), want %d", x.Route.Retries, x.Route.RetriesSet, *w.Retries)
	}
	for name, want := range w.Header {
		want.check(t, "forward", name, &x.Request.Header)
	}
}

func same(t *testing.T, what, got string, want *string) {
	t.Helper()
	if want != nil && got != *want {
		t.Errorf("%s: got %q, want %q", what, got, *want)
	}
}
