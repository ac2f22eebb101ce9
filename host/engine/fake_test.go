package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream"
)

// marker is a policy that marks requests and responses, and blocks, answers,
// fails or panics where its configuration says so.
type marker struct {
	Mark   string `json:"mark"`
	Answer int    `json:"answer"` // status to answer with
	Trap   bool   `json:"trap"`
	Rescue int    `json:"rescue"` // status to answer a failure with
	Refuse bool   `json:"refuse"` // to be configured
	Gate   string `json:"gate"`   // of the loader, to wait at
	Panic  string `json:"panic"`  // the phase to panic in: load, request, response or done
	Stall  bool   `json:"stall"`  // loading does not end before its context
	Repeat bool   `json:"repeat"` // has each client's request carried once more

	loader   *fakeLoader
	closed   atomic.Bool
	acquired atomic.Int64
}

// fakeLoader loads markers and remembers them.
type fakeLoader struct {
	mu       sync.Mutex
	loaded   []*marker
	gates    map[string]chan struct{}
	stalling chan struct{} // told of each Load that stalls
	repeated chan bool     // what came of each Repeat
	seen     chan string   // marks of the responses to the repetitions
	ended    chan struct{} // told of the end of each
}

func newFakeLoader() *fakeLoader {
	return &fakeLoader{
		gates: map[string]chan struct{}{}, stalling: make(chan struct{}, 8),
		repeated: make(chan bool, 2*maxRepeats), seen: make(chan string, 2*maxRepeats), ended: make(chan struct{}, 2*maxRepeats),
	}
}

func (l *fakeLoader) Load(ctx context.Context, spec policy.Spec) (policy.Policy, error) {
	m := &marker{loader: l}
	if err := json.Unmarshal(spec.Config, m); err != nil {
		return nil, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: err}
	}
	if m.Refuse {
		return nil, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: errors.New("config.refuse: told to refuse\nwith a stack")}
	}
	if m.Panic == "load" {
		panic("told to panic")
	}
	if m.Stall {
		l.stalling <- struct{}{}
		<-ctx.Done()
		return nil, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: context.Cause(ctx)}
	}
	for _, name := range []string{"loads_total", "loads of " + m.Mark} {
		if err := count(spec.Granted.Metrics, name); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded = append(l.loaded, m)
	if m.Panic == "done" {
		return &lastWords{m}, nil
	}
	return m, nil
}

// count adds one to a metric of the policy's own.
func count(metrics *telemetry.GuestMetrics, name string) error {
	id, err := metrics.Define(telemetry.MetricCounter, name)
	if err != nil {
		return err
	}
	return metrics.Add(id, 1)
}

// lastWords is a marker that panics when all is over.
type lastWords struct{ *marker }

func (*lastWords) OnDone(policy.Instance, *exchange.Exchange) { panic("told to panic") }

func (l *fakeLoader) all() []*marker {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*marker(nil), l.loaded...)
}

// forget drops the policies that are closed.
func (l *fakeLoader) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded = slices.DeleteFunc(l.loaded, func(m *marker) bool { return m.closed.Load() })
}

// open returns how many of the loaded policies are not closed.
func (l *fakeLoader) open() int {
	n := 0
	for _, m := range l.all() {
		if !m.closed.Load() {
			n++
		}
	}
	return n
}

func (m *marker) Needs() policy.Needs {
	none := manifest.BodyNeed{Mode: manifest.BodyNone}
	return policy.Needs{RequestBody: none, ResponseBody: none}
}

func (m *marker) Acquire(*exchange.Exchange) (policy.Instance, error) {
	if m.closed.Load() {
		panic("an exchange meets a closed policy")
	}
	m.acquired.Add(1)
	return m, nil
}

func (m *marker) Release(policy.Instance) { m.acquired.Add(-1) }
func (m *marker) Stats() policy.Stats     { return policy.Stats{Busy: int(m.acquired.Load())} }

func (m *marker) Close(context.Context) error {
	if m.acquired.Load() != 0 {
		panic("a policy is closed with instances out")
	}
	if m.closed.Swap(true) {
		panic("a policy is closed twice")
	}
	return nil
}

func (m *marker) OnRequestHead(_ policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	if m.Trap {
		return policy.Continue, &policy.Error{Kind: policy.Trap, Policy: "marker", Err: errors.New("secret words")}
	}
	if m.Panic == "request" {
		panic("told to panic")
	}
	x.Request.Header.Add("x-marks", m.Mark)
	if m.Repeat && !x.Repeated {
		m.loader.repeated <- x.Repeater.Repeat(func() { m.loader.ended <- struct{}{} })
	}
	if m.Gate != "" {
		<-m.loader.gates[m.Gate]
	}
	if m.Answer != 0 {
		x.Response = exchange.Response{Status: m.Answer}
		return policy.Answer, nil
	}
	return policy.Continue, nil
}

func (m *marker) OnResponseHead(_ policy.Instance, x *exchange.Exchange) error {
	if m.Panic == "response" {
		panic("told to panic")
	}
	x.Response.Header.Add("x-marks", m.Mark)
	if m.Repeat && x.Repeated {
		m.loader.seen <- x.Response.Header.Value("x-seen") + " " + strings.Join(x.Response.Header.AppendValues(nil, "x-marks"), ",")
	}
	return nil
}

func (m *marker) OnFailure(_ policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	if m.Rescue == 0 {
		return policy.Continue, nil
	}
	x.Response = exchange.Response{Status: m.Rescue}
	return policy.Answer, nil
}

// bench is an engine with fake policies and a real backend.
type bench struct {
	t      *testing.T
	e      *Engine
	loader *fakeLoader
	ups    *upstream.Registry
	folder string
	origin string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, folder: t.TempDir(), loader: newFakeLoader()}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-seen", strings.Join(r.Header.Values("x-marks"), ","))
		io.WriteString(w, "hello")
	}))
	t.Cleanup(backend.Close)
	b.origin = backend.URL
	source := filepath.Join(b.folder, "marker")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	b.write("marker/policy.toml", `name = "marker"
version = "1.0.0"
family = "transform"
summary = "marks"
license = "Apache-2.0"
abi = "http-wasm"
[config]
type = "object"
additionalProperties = false
[config.properties]
mark = { type = "string" }
gate = { type = "string" }
answer = { type = "integer" }
rescue = { type = "integer" }
trap = { type = "boolean" }
refuse = { type = "boolean" }
panic = { type = "string" }
stall = { type = "boolean" }
repeat = { type = "boolean" }
`)
	b.write("marker/policy.wasm", "\x00asm\x01\x00\x00\x00")
	b.start()
	return b
}

// start makes the engine, as at the start of a process; one that there was ends.
func (b *bench) start() {
	if b.e != nil {
		if err := b.e.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	b.ups = upstream.NewRegistry(upstream.Options{Log: log})
	b.e = New(Options{Mode: Both, Loaders: map[string]policy.Loader{"http-wasm": b.loader}, Upstreams: b.ups, Log: log})
	b.t.Cleanup(func() {
		if err := b.e.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
		if err := b.ups.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
		if n := b.loader.open(); n != 0 {
			b.t.Errorf("%d policies are still open after Close", n)
		}
	})
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// manifest returns a manifest with the given configurations of marker, one use
// each, in the edge tier and in the service tier.
func (b *bench) manifest(edge, service []string, host ...string) Source {
	text := fmt.Sprintf("version = 1\n[host]\nadmin = \"\"\ndata = %q\n%s\n[[listener]]\naddress = \"127.0.0.1:1\"\n[upstream.origin]\nendpoints = [%q]\n[policy.marker]\nsource = \"marker\"\n",
		filepath.Join(b.folder, "data"), strings.Join(host, "\n"), b.origin)
	for _, t := range []struct {
		name    string
		configs []string
	}{{"edge", edge}, {"service", service}} {
		text += "[" + t.name + "]\n"
		if t.name == "service" {
			text += "upstream = \"origin\"\n"
		}
		for i, config := range t.configs {
			text += fmt.Sprintf("[[%s.stage]]\nname = \"s%d\"\n[[%s.stage.use]]\npolicy = \"marker\"\nconfig = %s\n", t.name, i, t.name, config)
		}
	}
	return Source{Path: filepath.Join(b.folder, "proxy.toml"), Data: []byte(text)}
}

func mark(m string) string { return fmt.Sprintf("{ mark = %q }", m) }

func (b *bench) swap(from Source) *Change {
	b.t.Helper()
	change, err := b.e.Swap(context.Background(), "swap", from)
	if err != nil {
		b.t.Fatalf("swap: %v", err)
	}
	return change
}

// get carries one exchange through the engine.
func (b *bench) get(edit ...func(*exchange.Exchange)) *answer {
	a := &answer{}
	x := &exchange.Exchange{
		Request: exchange.Request{Method: "GET", Scheme: "http", Authority: "example.com", Target: "/", Version: exchange.HTTP11},
		Conn:    &exchange.Conn{ID: 1, Listener: "test", Remote: netip.MustParseAddrPort("192.0.2.1:1000"), Local: netip.MustParseAddrPort("192.0.2.2:80")},
		Sink:    a, Began: exchange.Clock(),
	}
	for _, f := range edit {
		f(x)
	}
	b.e.Serve(x)
	a.x = x
	return a
}

// answer is the client's side of an exchange.
type answer struct {
	x       *exchange.Exchange
	status  int
	header  exchange.Header
	body    string
	err     error
	hold    chan struct{} // Send waits for it
	sending chan struct{}
}

func (a *answer) Inform(int, *exchange.Header) error { return nil }

func (a *answer) Send(x *exchange.Exchange) error {
	if a.sending != nil {
		close(a.sending)
	}
	a.status = x.Response.Status
	a.header.CopyFrom(&x.Response.Header)
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-x.Context().Done():
			a.err = x.Life().Cause()
			return a.err
		}
	}
	if t := x.Response.Tunnel; t != nil {
		return t.Close()
	}
	if x.Response.Body == nil {
		return nil
	}
	defer x.Response.Body.Close()
	text, err := io.ReadAll(x.Response.Body)
	a.body, a.err = string(text), err
	return err
}

func (a *answer) marks() string {
	return strings.Join(a.header.AppendValues(nil, "x-marks"), ",")
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
