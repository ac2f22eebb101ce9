// Package policies has the cases of all shipped policies run in the real host.
package policies

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// TestCases runs every policies/*/cases.toml against the module beside it, or
// against one that policies/build left in the folder ERGO_POLICIES.
func TestCases(t *testing.T) { runCases(t, wasm.Options{}, "shared") }

// A policy acts alike in instances that were started, in clones of one that was, and
// in clones that are reset after each exchange.
func TestCasesInPlainInstances(t *testing.T) {
	runCases(t, wasm.Options{HeapMemory: true}, "shared")
}

func TestCasesInFreshInstances(t *testing.T) { runCases(t, wasm.Options{}, "exchange") }

func TestPoliciesAreCloned(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is cloned here")
	}
	for _, name := range shipped(t) {
		s := newSuite(t, name)
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
	runCases(t, wasm.Options{Unmetered: true}, "shared")
}

func runCases(t *testing.T, guests wasm.Options, isolation string) {
	for _, name := range shipped(t) {
		t.Run(name, func(t *testing.T) {
			s := newSuiteWith(t, guests, name)
			s.settings.Isolation = isolation
			s.run(t)
		})
	}
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

// suite is one artifact under test, with what a manifest says of it.
type suite struct {
	bench    *cli.Workbench
	artifact *policy.Artifact
	settings manifest.Policy
	keys     map[string]keyring.Granted
	cases    *caseFile
	log      *slog.Logger // of the policy; nil: the test's
}

func newSuite(t testing.TB, name string) *suite {
	t.Helper()
	return newSuiteWith(t, wasm.Options{}, name)
}

func newSuiteWith(t testing.TB, guests wasm.Options, name string) *suite {
	t.Helper()
	return openSuite(t, guests, name, "")
}

// openSuite is newSuiteWith for a manifest that says something else than the cases'.
func openSuite(t testing.TB, guests wasm.Options, name, more string) *suite {
	t.Helper()
	s := &suite{artifact: artifact(t, name)}
	s.cases = readCases(t, filepath.Join(name, "cases.toml"), s.artifact.File.Example)
	s.cases.Manifest = cmp.Or(more, s.cases.Manifest)
	m := s.manifest(t)
	s.settings, s.keys = m.Policies[name], m.GrantedKeys(name)
	s.settings.Limits.Instances = 1 // so that what one exchange leaves behind shows in the next
	s.settings.Limits.Time = manifest.Duration(10 * time.Second)
	guests.CacheDir = filepath.Join("target", "cache") // compiled once for all tests
	var err error
	if s.bench, err = cli.OpenWorkbench(m, guests, testLog(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.bench.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// artifact is the policy in a folder, or that with the module that policies/build left.
func artifact(t testing.TB, name string) *policy.Artifact {
	t.Helper()
	a, err := policy.LoadArtifact(name)
	if err != nil {
		t.Fatal(err)
	}
	rebuilt := os.Getenv("ERGO_POLICIES")
	if rebuilt == "" {
		return a
	}
	text, err := os.ReadFile(filepath.Join(name, "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(rebuilt, name, "policy.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = policy.NewArtifact(name, text, module); err != nil {
		t.Fatal(err)
	}
	return a
}

// manifest grants the policy all that it asks for; the rest is what its cases say.
func (s *suite) manifest(t testing.TB) *manifest.Manifest {
	t.Helper()
	text := s.manifestText(t)
	m, err := cli.ParseManifest("cases.toml: manifest", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m
}

func (s *suite) manifestText(t testing.TB) string {
	t.Helper()
	name := s.artifact.File.Name
	source, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("version = 1\nlistener = [{ address = \"127.0.0.1:0\" }]\nupstream.origin.endpoints = [\"ergo:echo\"]\n"+
		"service.upstream = \"origin\"\n[policy.%s]\nsource = %q\ngrants = %s\n%s\n",
		name, source, strings.ReplaceAll(fmt.Sprintf("%q", s.artifact.File.Capabilities), `" "`, `", "`),
		strings.ReplaceAll(s.cases.Manifest, "${folder}", source))
}

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func (s *suite) run(t *testing.T) {
	cases := s.cases
	loaded := map[string]*tier.Tier{}
	for name, config := range cases.Configs {
		loaded[name] = s.alone(t, s.load(t, name, config))
	}
	for _, c := range cases.Refuse {
		t.Run("refuse "+c.Name, func(t *testing.T) { s.refuse(t, c) })
	}
	// Twice, because an instance that has carried other exchanges must act like a
	// fresh one.
	for round := range 2 {
		for _, c := range cases.Cases {
			alone := loaded[cmp.Or(c.Config, "example")]
			if alone == nil {
				t.Fatalf("case %q: there is no config %q", c.Name, c.Config)
			}
			t.Run(fmt.Sprintf("%d %s", round+1, c.Name), func(t *testing.T) { c.run(t, alone) })
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
		Name: s.artifact.File.Name, Artifact: s.artifact, Config: text, Settings: s.settings, Keys: s.keys, Log: cmp.Or(s.log, testLog(t)),
	}
}

func (s *suite) load(t testing.TB, name string, config map[string]any) policy.Policy {
	t.Helper()
	spec := s.spec(t, config)
	if wrong := s.artifact.CheckConfig(spec.Config); wrong != nil {
		t.Fatalf("config %s: schema: %v", name, wrong)
	}
	p, release, err := s.bench.Load(context.Background(), spec)
	if err != nil {
		t.Fatalf("config %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(context.Background()), release()); err != nil {
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
		p, release, err := s.bench.Load(context.Background(), spec)
		if err == nil {
			t.Error("the policy takes it", p.Close(context.Background()), release())
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

// alone is a tier that has one policy.
func (s *suite) alone(t testing.TB, p policy.Policy) *tier.Tier {
	t.Helper()
	slot := &tier.Slot{Name: s.artifact.File.Name, Version: s.artifact.File.Version, Policy: p}
	made, err := tier.New(tier.Spec{
		Name: "edge", Metrics: telemetry.NewMetrics("test"), Config: manifest.Tier{MaxInFlight: 256},
		Stages: []tier.StageSpec{{Stage: manifest.Stage{Name: "alone"}, Uses: []tier.UseSpec{{Slot: slot}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func (c *exchangeCase) run(t *testing.T, alone *tier.Tier) {
	c.carry(t, alone)
	for i := range c.Then {
		c.Then[i].carry(t, alone)
		if t.Failed() {
			t.Fatalf("so far in exchange %d of the case", i+2)
		}
	}
}

func (c *exchangeCase) carry(t *testing.T, alone *tier.Tier) {
	if (c.Answer == nil) == (c.Forward == nil) {
		t.Fatal("a case wants either answer or forward")
	}
	x, walk := c.exchange(t), new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	answered, f := alone.Request(walk, x)
	switch {
	case f != nil:
		t.Fatal(f)
	case answered && c.Forward != nil:
		t.Fatalf("the policy answered %d %q", x.Response.Status, bodyOf(t, x.Response.Body))
	case !answered && c.Answer != nil:
		t.Fatalf("the request went on to %s %s", x.Request.Method, x.Request.Target)
	case c.Forward != nil:
		c.Forward.check(t, x)
		x.Route.Sent = true
		c.Upstream.answer(x)
	}
	alone.Response(walk, x)
	if x.Failure != nil {
		t.Fatal(x.Failure)
	}
	if c.Answer != nil {
		c.Answer.check(t, "answer", &x.Response)
	} else if c.Response != nil {
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
		Began:     exchange.Clock(),
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
	c.Request.identify(t, x)
	if c.Request.Body != "" {
		x.Request.Body = io.NopCloser(strings.NewReader(c.Request.Body))
		x.Request.Length = int64(len(c.Request.Body))
	}
	return x
}

// identify makes the client who it is said to be.
func (r *requestInput) identify(t testing.TB, x *exchange.Exchange) {
	t.Helper()
	if r.Subject == "" {
		return
	}
	if err := x.Identify(r.Subject, "case"); err != nil {
		t.Fatal(err)
	}
	for name, value := range r.Attribute {
		if err := x.AddAttribute(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// answer makes the upstream's response; a nil one is an empty 200.
func (r *responseInput) answer(x *exchange.Exchange) {
	x.Response.Status = 200
	if r == nil {
		return
	}
	if r.Fails {
		x.Fail(&exchange.Failure{Cause: exchange.CauseRefused, Status: 502, Err: errors.New("unreachable")})
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
	checkBody(t, where, r.Body, w.Body)
}

func checkBody(t *testing.T, where string, body io.Reader, want *string) {
	t.Helper()
	if got := bodyOf(t, body); want != nil && !strings.Contains(got, *want) {
		t.Errorf("%s: got body %q, want it to contain %q", where, got, *want)
	}
}

// bodyOf reads what is sent, as streaming policies do their work meanwhile.
func bodyOf(t *testing.T, body io.Reader) string {
	t.Helper()
	if body == nil {
		return ""
	}
	read, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(read)
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
	if got := slices.DeleteFunc(x.Route.Fallbacks[:], func(name string) bool { return name == "" }); w.Fallback != nil && !slices.Equal(got, w.Fallback) {
		t.Errorf("fallback: got %q, want %q", got, w.Fallback)
	}
	for name, want := range w.Header {
		want.check(t, "forward", name, &x.Request.Header)
	}
	checkBody(t, "forward", x.Request.Body, w.Body)
}

func same(t *testing.T, what, got string, want *string) {
	t.Helper()
	if want != nil && got != *want {
		t.Errorf("%s: got %q, want %q", what, got, *want)
	}
}
