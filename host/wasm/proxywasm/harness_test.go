package proxywasm

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

//go:embed testdata/puppet/puppet.wasm
var puppetModule []byte

// puppetCallbacks in the order of testdata/puppet/generate.py.
var puppetCallbacks = []string{
	"vm_start", "configure", "context_create", "done", "log", "delete", "tick", "queue_ready",
	"request_headers", "request_body", "request_trailers", "response_headers", "response_body", "response_trailers",
	"http_call_response", "grpc_receive_initial_metadata", "grpc_receive", "grpc_receive_trailing_metadata", "grpc_close",
	"foreign_function",
}

// script is what a guest does: a test's functions, by callback without
// "proxy_on_". What a script leaves out agrees and continues.
type script map[string]func(g *guest, args []uint32) uint32

// guest is the inside of a sandbox, for the length of a callback.
type guest struct {
	ctx context.Context
	mod api.Module
}

// puppet is the module that testdata/puppet.wat imports: the guest's callbacks end
// in the test's script.
func puppet(s script) wasm.HostModule {
	return wasm.HostModule{Name: "puppet", Functions: []wasm.HostFunction{{
		Name: "call", Params: slices.Repeat([]api.ValueType{wasm.I32}, 6), Results: []api.ValueType{wasm.I32},
		Call: func(ctx context.Context, mod api.Module, stack []uint64) {
			name := puppetCallbacks[stack[0]]
			args := make([]uint32, 5)
			for i := range args {
				args[i] = uint32(stack[i+1])
			}
			answer := uint32(0)
			if name == "vm_start" || name == "configure" || name == "done" {
				answer = 1
			}
			if f := s[name]; f != nil {
				answer = f(&guest{ctx, mod}, args)
			}
			stack[0] = uint64(answer)
		},
	}}}
}

// Places in the guest's memory: what a call passes, and where it wants results.
const (
	passedAt = 4096
	resultAt = 65536
)

// call calls a host function as the guest does. A string becomes a pointer and a
// length; out(n) is a place for the n-th result.
func (g *guest) call(name string, args ...any) status {
	var stack []uint64
	at := uint32(passedAt)
	for _, arg := range args {
		switch v := arg.(type) {
		case string:
			if !g.mod.Memory().WriteString(at, v) {
				g.mod.Memory().Grow(uint32(len(v)>>16) + 2)
				at = g.mod.Memory().Size() - uint32(len(v)) - 65536
				g.mod.Memory().WriteString(at, v)
			}
			stack = append(stack, uint64(at), uint64(len(v)))
			at += uint32(len(v)) + 8
		case int:
			stack = append(stack, uint64(uint32(v)))
		case uint32:
			stack = append(stack, uint64(v))
		case int64:
			stack = append(stack, uint64(v))
		default:
			panic(fmt.Errorf("argument %T", arg))
		}
	}
	if len(stack) == 0 {
		stack = make([]uint64, 1)
	}
	f := g.mod.ExportedFunction("host_" + name)
	if err := f.CallWithStack(g.ctx, stack); err != nil {
		panic(err)
	}
	return status(stack[0])
}

func out(n int) int { return resultAt + 8*n }

// number reads the n-th result.
func (g *guest) number(n int) uint32 {
	v, _ := g.mod.Memory().ReadUint32Le(uint32(out(n)))
	return v
}

// result reads what the n-th and the next result point to.
func (g *guest) result(n int) string {
	b, ok := g.mod.Memory().Read(g.number(n), g.number(n+1))
	if !ok {
		panic(fmt.Errorf("result %d is outside of memory", n))
	}
	return string(b)
}

func (g *guest) header(kind int, name string) (string, status) {
	st := g.call("proxy_get_header_map_value", kind, name, out(0), out(1))
	if st != statusOK {
		return "", st
	}
	return g.result(0), st
}

func (g *guest) pairs(kind int) []exchange.Field {
	if st := g.call("proxy_get_header_map_pairs", kind, out(0), out(1)); st != statusOK {
		panic(fmt.Errorf("pairs: status %d", st))
	}
	return parsePairs([]byte(g.result(0)))
}

func (g *guest) buffer(kind int) (string, status) {
	st := g.call("proxy_get_buffer_bytes", kind, 0, 1<<30, out(0), out(1))
	if st != statusOK {
		return "", st
	}
	return g.result(0), st
}

func (g *guest) respond(code int, body string, fields ...exchange.Field) status {
	return g.call("proxy_send_local_response", code, "why not", body, string(property.AppendPairs(nil, fields)), -1)
}

// What a script answers to trap, and to go on for ever.
const (
	trap = 1<<32 - 1
	spin = 1<<32 - 2
)

// openEngine opens an engine that is not metered if guests are called from within
// host functions, which nobody but tests does.
func openEngine(t testing.TB, metered bool, capabilities ...wasm.HostModule) *wasm.Engine {
	t.Helper()
	engine, err := wasm.Open(wasm.Options{Capabilities: capabilities, TrimInterval: time.Hour, Unmetered: !metered})
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

func specOf(module []byte) policy.Spec {
	return policy.Spec{
		Name: "puppet",
		Artifact: &policy.Artifact{
			Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(module)),
			Module: module,
			File:   manifest.PolicyFile{Name: "puppet", ABI: "proxy-wasm"},
		},
		Config: []byte(`{"a":1}`),
		Granted: &policy.Granted{
			Metrics: (*telemetry.Metrics)(nil).Guest("puppet", "1.0.0"),
			Shared:  state.NewRegistry(state.Options{}).Shared("puppet"),
		},
		Settings: manifest.Policy{Grants: []string{"puppet"}, Limits: manifest.Limits{
			Memory:       64 << 20,
			Time:         manifest.Duration(10 * time.Second),
			Instances:    4,
			Wait:         manifest.Duration(10 * time.Second),
			RequestBody:  1 << 20,
			ResponseBody: 1 << 20,
			LogLines:     1000,
		}},
	}
}

// load makes a policy of the puppet.
func load(t testing.TB, s script, changes ...func(*policy.Spec)) *Policy {
	t.Helper()
	return loaded(t, s, changes...).(*Policy)
}

func loaded(t testing.TB, s script, changes ...func(*policy.Spec)) policy.Policy {
	t.Helper()
	p, err := tryLoad(t, s, changes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func tryLoad(t testing.TB, s script, changes ...func(*policy.Spec)) (policy.Policy, error) {
	t.Helper()
	spec := specOf(puppetModule)
	spec.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	for _, change := range changes {
		change(&spec)
	}
	return NewLoader(openEngine(t, spec.Settings.Limits.Time.D() < time.Second, puppet(s))).Load(context.Background(), spec)
}

func newExchange(method, target string, fields ...exchange.Field) *exchange.Exchange {
	x := &exchange.Exchange{ID: "id-1"}
	x.Request = exchange.Request{Method: method, Scheme: "http", Authority: "example.com", Target: target, Version: exchange.HTTP11}
	for _, f := range fields {
		x.Request.Header.Add(f.Name, f.Value)
	}
	x.Lap()
	return x
}

// pieces is a body that comes in pieces.
type pieces struct {
	left   []string
	closed bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; p.left[0] == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) Close() error {
	p.closed = true
	return nil
}

// withBody gives the request a body of unknown length.
func withBody(x *exchange.Exchange, body ...string) *exchange.Exchange {
	x.Request.Body, x.Request.Length = &pieces{left: body}, exchange.UnknownLength
	return x
}

// carried is how an exchange went.
type carried struct {
	verdict      policy.Verdict
	requestErr   error
	responseErr  error
	sent         string // the request's body
	sentErr      error
	received     string // the response's body
	receivedErr  error
	failed       error // of a body, told afterwards
	failedAnswer bool  // OnFailure answered
}

// carry takes an exchange through the policy and an origin that answers with body.
func carry(p *Policy, x *exchange.Exchange, body ...string) (c carried) {
	i, err := p.Acquire(x)
	if err != nil {
		c.requestErr = err
		return c
	}
	defer p.Release(i)
	c.verdict, c.requestErr = p.OnRequestHead(i, x)
	if c.requestErr != nil {
		return c
	}
	if c.verdict == policy.Continue {
		c.sent, c.sentErr = readAll(x.Request.Body)
		respondWith(x, body...)
		if c.sentErr != nil {
			x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: 400, Err: c.sentErr})
			var verdict policy.Verdict
			verdict, c.responseErr = p.OnFailure(i, x)
			c.failedAnswer = verdict == policy.Answer
		} else {
			c.responseErr = p.OnResponseHead(i, x)
		}
	}
	c.received, c.receivedErr = readAll(x.Response.Body)
	c.failed = p.BodyFault(i)
	p.OnDone(i, x)
	return c
}

func respondWith(x *exchange.Exchange, body ...string) {
	x.Response = exchange.Response{Status: 200, Version: exchange.HTTP11}
	x.Response.Header.Add("Server", "origin")
	if len(body) > 0 {
		x.Response.Body, x.Response.Length = &pieces{left: body}, exchange.UnknownLength
	}
}

func readAll(body io.ReadCloser) (string, error) {
	if body == nil {
		return "", nil
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}

// wantKind checks the kind of a policy's failure.
func wantKind(t testing.TB, err error, want policy.Kind) {
	t.Helper()
	var failure *policy.Error
	if !errors.As(err, &failure) || failure.Kind != want {
		t.Errorf("got %v, want a failure of kind %v", err, want)
	}
}

func joined(h *exchange.Header) string {
	var b strings.Builder
	for _, f := range h.Fields() {
		fmt.Fprintf(&b, "%s=%s\n", f.Name, f.Value)
	}
	return b.String()
}

func le32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
