package httpwasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

//go:embed testdata/script.wasm
var scriptModule []byte

// script is what the guest of testdata/script.wat does.
type script struct{ start, request, response []step }

// step calls one operation. A string among the arguments becomes a pointer and
// a length.
type step struct {
	op   string
	args []any
}

func do(op string, args ...any) step { return step{op, args} }

// operations in the order of script.wat.
var operations = func() []string {
	var names []string
	for _, f := range Host().Functions {
		names = append(names, f.Name)
	}
	return append(names, "trap", "spin", "grow", "recurse", "exit", "result", "read_all", "echo", "print", "random")
}()

const (
	recordsAt = 4112
	recordLen = 32
	resultsAt = 65536
	room      = 4096
)

// out is where the n-th result of a script may go: room bytes.
func out(n int) int { return resultsAt + n*room }

// config renders the script as the guest reads it.
func (s *script) config() []byte {
	steps := slices.Concat(s.start, s.request, s.response)
	var records, data []byte
	for _, n := range []int{len(s.start), len(s.request), len(s.response), 0} {
		records = binary.LittleEndian.AppendUint32(records, uint32(n))
	}
	dataAt := recordsAt + recordLen*len(steps)
	for _, st := range steps {
		record := make([]byte, 0, recordLen)
		record = binary.LittleEndian.AppendUint32(record, uint32(slices.Index(operations, st.op)))
		for _, arg := range st.args {
			switch v := arg.(type) {
			case int:
				record = binary.LittleEndian.AppendUint32(record, uint32(v))
			case string:
				record = binary.LittleEndian.AppendUint32(record, uint32(dataAt+len(data)))
				record = binary.LittleEndian.AppendUint32(record, uint32(len(v)))
				data = append(data, v...)
			}
		}
		records = append(records, record[:recordLen]...)
	}
	return append(records, data...)
}

func openEngine(t testing.TB) *wasm.Engine { return openEngineWith(t, wasm.Options{}) }

func openEngineWith(t testing.TB, options wasm.Options) *wasm.Engine {
	t.Helper()
	options.Capabilities = []wasm.HostModule{routeDouble()}
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

// routeDouble stands for the capability of that name, which is not of this
// package.
func routeDouble() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_route", Functions: []wasm.HostFunction{
		function("set_upstream", 2, wasm.I32, func(ctx context.Context, mod api.Module, stack []uint64) {
			call := wasm.CallOf(ctx)
			route := &call.MustExchange().Route
			before := route.Upstream
			route.Upstream = string(view(mod, stack[0], stack[1]))
			stack[0] = 0
			c, there := call.MustExchange().Context().Value(crowdKey{}).(*crowd)
			switch {
			case there && before == "":
				call.Visit.Await(c.wait)
			case there:
				c.goOn()
			}
		}),
	}}
}

func specOf(s script) policy.Spec {
	return policy.Spec{
		Name: "scripted",
		Artifact: &policy.Artifact{
			Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(scriptModule)),
			Module: scriptModule,
			File:   manifest.PolicyFile{Name: "scripted", ABI: "http-wasm"},
		},
		Config:  s.config(),
		Granted: new(policy.Granted),
		Settings: manifest.Policy{Limits: manifest.Limits{
			Memory:       16 << 20,
			Time:         manifest.Duration(10 * time.Second),
			Instances:    4,
			Wait:         manifest.Duration(10 * time.Second),
			RequestBody:  1 << 20,
			ResponseBody: 1 << 20,
			LogLines:     1000,
		}},
	}
}

func loadSpec(t testing.TB, engine *wasm.Engine, spec policy.Spec) *Policy {
	t.Helper()
	p, err := NewLoader(engine).Load(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.(*Policy)
}

func load(t testing.TB, s script) *Policy {
	t.Helper()
	return loadSpec(t, openEngine(t), specOf(s))
}

// carried is an exchange on its way through a policy.
type carried struct {
	t       testing.TB
	policy  *Policy
	script  script
	session *session
	guest   *guest // may have been given back, but keeps its memory
	x       *exchange.Exchange
}

// carry loads a script and lends it to an exchange.
func carry(t testing.TB, s script, x *exchange.Exchange) *carried {
	t.Helper()
	return carryWith(t, load(t, s), s, x)
}

func carryWith(t testing.TB, p *Policy, s script, x *exchange.Exchange) *carried {
	t.Helper()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Release(i) })
	return &carried{t, p, s, i.(*session), i.(*session).guest, x}
}

// request runs the request phase and wants it to end in a verdict.
func (c *carried) request(want policy.Verdict) {
	c.t.Helper()
	got, err := c.policy.OnRequestHead(c.session, c.x)
	if err != nil {
		c.t.Fatal(err)
	}
	if got != want {
		c.t.Fatalf("verdict %d, want %d", got, want)
	}
}

// response runs the response phase.
func (c *carried) response() {
	c.t.Helper()
	if err := c.policy.OnResponseHead(c.session, c.x); err != nil {
		c.t.Fatal(err)
	}
}

// result is what step n of the request phase returned; those of the response
// phase follow on.
func (c *carried) result(n int) uint64 {
	c.t.Helper()
	at := recordsAt + recordLen*(len(c.script.start)+n) + 24
	return binary.LittleEndian.Uint64(c.memory(at, 8))
}

// text is what step n wrote to out(n).
func (c *carried) text(n int) string {
	c.t.Helper()
	return string(c.memory(out(n), int(uint32(c.result(n)))))
}

func (c *carried) memory(at, length int) []byte {
	c.t.Helper()
	b, ok := c.guest.instance.Memory().Read(uint32(at), uint32(length))
	if !ok {
		c.t.Fatalf("no %d bytes at %d", length, at)
	}
	return b
}

func newExchange() *exchange.Exchange {
	x := &exchange.Exchange{
		ID: "x-1",
		Request: exchange.Request{
			Method: "POST", Scheme: "https", Authority: "site.example:8443", Target: "/a%20b?q=1", Version: exchange.HTTP2,
		},
		Conn:     &exchange.Conn{Remote: netip.MustParseAddrPort("192.0.2.7:4711")},
		ClientIP: netip.MustParseAddr("192.0.2.7"),
	}
	x.Request.Header.Add("Accept", "text/html")
	x.Request.Header.Add("X-Many", "one")
	x.Request.Header.Add("x-many", "two")
	return x
}

// answered is an exchange's upstream answering.
func answered(x *exchange.Exchange, status int, text string) {
	x.Route.Sent = true
	x.Response.Status = status
	x.Response.Header.Add("Content-Type", "text/plain")
	x.Response.Body, x.Response.Length = textBody(text), int64(len(text))
}

func textBody(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	if r == nil {
		return ""
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantKind asks for a policy's failure of a kind.
func wantKind(t testing.TB, err error, want policy.Kind) {
	t.Helper()
	var failed *policy.Error
	if !errors.As(err, &failed) {
		t.Fatalf("error %v, want a policy's failure of kind %v", err, want)
	}
	if failed.Kind != want {
		t.Fatalf("failure %v, want kind %v", err, want)
	}
}

// logTo makes a logger that writes lines of "level message key=value".
func logTo(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
