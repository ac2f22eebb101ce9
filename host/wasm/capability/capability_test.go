package capability

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

//go:embed testdata/calls.wasm
var callsModule []byte

// caller is a guest whose exports hand on to the host.
type caller struct {
	t         testing.TB
	instance  *wasm.Instance
	functions map[string]api.Function
	x         *exchange.Exchange
	log       *bytes.Buffer
}

func newCaller(t testing.TB) *caller {
	t.Helper()
	return newCallerOn(t, wasm.Options{})
}

func newCallerOn(t testing.TB, options wasm.Options) *caller {
	t.Helper()
	options.Capabilities = []wasm.HostModule{Route(), Log()}
	return newCallerOf(t, options, callsModule, wasm.InstanceConfig{CallTime: 10 * time.Second})
}

// newCallerOf makes a guest of a module; config says its time and what it was
// granted.
func newCallerOf(t testing.TB, options wasm.Options, module []byte, config wasm.InstanceConfig) *caller {
	t.Helper()
	engine, err := wasm.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	program, err := engine.Compile(context.Background(), wasm.Source{
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(module)), Module: module, ABI: wasm.HostModule{Name: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range options.Capabilities {
		all = append(all, c.Name)
	}
	if err := program.CheckImports(wasm.Permission{Policy: "p", Declared: all, Granted: all}); err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, log: new(bytes.Buffer), functions: make(map[string]api.Function)}
	logger := slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	config.MemoryBytes, config.Log, config.Held = 1<<20, wasm.NewLog(logger, 1<<20), new(wasm.Held)
	c.instance, err = program.Start(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	c.x = &exchange.Exchange{ID: "x-1", Upstreams: upstreams{"blue": true}}
	c.instance.Call().Exchange = c.x
	t.Cleanup(func() {
		_ = c.instance.Close(context.Background())
		_ = program.Close(context.Background())
		_ = engine.Close(context.Background())
	})
	return c
}

type upstreams map[string]bool

func (u upstreams) HasUpstream(name string) bool { return u[name] }

// call hands on to the host; strings go to the guest's memory first and become
// a pointer and a length.
func (c *caller) call(name string, args ...any) (uint64, error) {
	c.t.Helper()
	stack, at := make([]uint64, 0, 6), uint32(1024)
	for _, arg := range args {
		switch v := arg.(type) {
		case int:
			stack = append(stack, uint64(uint32(v)))
		case string:
			if !c.instance.Memory().WriteString(at, v) {
				c.t.Fatalf("no room for %d bytes", len(v))
			}
			stack = append(stack, uint64(at), uint64(len(v)))
			at += uint32(len(v))
		}
	}
	stack = append(stack, 0)
	if c.functions[name] == nil {
		c.functions[name] = c.instance.Function(name)
	}
	err := c.instance.Invoke(c.functions[name], stack)
	return stack[0], err
}

func (c *caller) want(want uint64, name string, args ...any) {
	c.t.Helper()
	got, err := c.call(name, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	if got != want {
		c.t.Errorf("%s%v returned %d, want %d", name, args, got, want)
	}
}

func (c *caller) do(name string, args ...any) {
	c.t.Helper()
	if _, err := c.call(name, args...); err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
}

func TestRoute(t *testing.T) {
	c := newCaller(t)
	c.want(ok, "set_upstream", "blue")
	c.want(notFound, "set_upstream", "red")
	c.want(badArgument, "set_upstream", "")
	for range exchange.MaxFallbacks {
		c.want(ok, "add_fallback", "blue")
	}
	c.want(noRoom, "add_fallback", "blue")
	c.want(ok, "set_upstream", "blue")
	c.want(notFound, "add_fallback", "red")
	c.want(badArgument, "add_fallback", "")
	c.want(ok, "add_fallback", "blue")
	c.want(ok, "set_hash_key", "user-7")
	c.want(badArgument, "set_hash_key", strings.Repeat("k", maxHashKey+1))
	c.want(ok, "set_timeout", 1500)
	c.want(badArgument, "set_timeout", int(maxTimeout/time.Millisecond)+1)
	c.want(badArgument, "set_timeout", -1)
	c.want(ok, "set_retries", 0)
	c.want(badArgument, "set_retries", 11)
	want := exchange.Route{Upstream: "blue", Fallbacks: [exchange.MaxFallbacks]string{"blue"}, HashKey: "user-7", Timeout: 1500 * time.Millisecond, RetriesSet: true}
	if got := c.x.Route; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	c.want(ok, "set_timeout", 0)
	c.want(ok, "set_retries", 10)
	c.want(ok, "set_hash_key", "")
	want = exchange.Route{Upstream: "blue", Fallbacks: want.Fallbacks, Retries: 10, RetriesSet: true}
	if got := c.x.Route; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGetUpstream(t *testing.T) {
	c := newCaller(t)
	c.want(0, "get_upstream", 512, 100)
	c.x.Route.Upstream = "blue"
	c.want(4, "get_upstream", 512, 3)
	if got := c.memory(512, 4); got != "\x00\x00\x00\x00" {
		t.Errorf("a name that does not fit was written: %q", got)
	}
	c.want(4, "get_upstream", 512, 4)
	if got := c.memory(512, 4); got != "blue" {
		t.Errorf("got %q, want \"blue\"", got)
	}
}

func (c *caller) memory(at, length uint32) string {
	b, _ := c.instance.Memory().Read(at, length)
	return string(b)
}

func TestRouteIsDecidedOnce(t *testing.T) {
	c := newCaller(t)
	c.x.Route.Sent = true
	before := c.x.Route
	c.want(tooLate, "set_upstream", "blue")
	c.want(tooLate, "add_fallback", "blue")
	c.want(tooLate, "set_hash_key", "k")
	c.want(tooLate, "set_timeout", 1)
	c.want(tooLate, "set_retries", 1)
	if c.x.Route != before {
		t.Errorf("the route changed to %+v", c.x.Route)
	}
}

func TestRouteBeforeAGenerationIsPinned(t *testing.T) {
	c := newCaller(t)
	c.x.Upstreams = nil
	c.want(notFound, "set_upstream", "blue")
}

func TestEmit(t *testing.T) {
	c := newCaller(t)
	c.do("emit", 1, "careful", "who\x00me\x00\x00no key\x00why\x00because")
	c.do("emit", 0, "plain", "")
	c.do("emit", -1, "debug is off", "")
	c.do("emit", 3, "no such level", "")
	want := `level=WARN msg=careful fields.who=me fields.why=because request_id=x-1
level=INFO msg=plain request_id=x-1
`
	if got := c.log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestEmitBoundsFields(t *testing.T) {
	c := newCaller(t)
	c.do("emit", 0, "many", strings.Repeat("key\x00value\x00", maxPairs+10))
	if got := strings.Count(c.log.String(), "fields.key="); got != maxPairs {
		t.Errorf("%d fields were logged, want %d", got, maxPairs)
	}
	c.log.Reset()
	c.do("emit", 0, "long", strings.Repeat("k", 100)+"\x00"+strings.Repeat("v", 20<<10))
	if got := c.log.Len(); got > maxFieldBytes+200 {
		t.Errorf("a line of %d bytes was logged", got)
	}
}

func TestAnnotate(t *testing.T) {
	c := newCaller(t)
	c.do("annotate", "user", "7")
	c.do("annotate", "", "ignored")
	c.do("annotate", strings.Repeat("k", 100), strings.Repeat("v", 2000)+"\xff")
	c.do("annotate", "bytes", "a\xffb")
	want := []exchange.Note{
		{Key: "user", Value: "7"},
		{Key: strings.Repeat("k", maxKeyBytes), Value: strings.Repeat("v", maxNoteBytes)},
		{Key: "bytes", Value: "a\ufffdb"},
	}
	if got := fmt.Sprint(c.x.Notes); got != fmt.Sprint(want) {
		t.Errorf("got %s, want %v", got, want)
	}
	for range 100 {
		c.do("annotate", "k", "v")
	}
	if got := len(c.x.Notes); got != exchange.MaxNotes {
		t.Errorf("%d notes, want %d", got, exchange.MaxNotes)
	}
}

const outside = 1 << 20

func TestRangesOutsideOfMemoryTrap(t *testing.T) {
	cases := []struct {
		name string
		args []any
	}{
		{"set_upstream", []any{outside, 1}},
		{"set_upstream", []any{65535, 2}},
		{"set_upstream", []any{-1, -1}},
		{"set_hash_key", []any{0, outside}},
		{"emit", []any{0, outside, 1, 0, 0}},
		{"emit", []any{0, 0, 0, outside, 1}},
		{"annotate", []any{outside, 1, 0, 0}},
		{"annotate", []any{0, 1, outside, 1}},
		{"get_upstream", []any{outside, 100}},
	}
	for _, tc := range cases {
		c := newCaller(t)
		c.x.Route.Upstream = "blue"
		_, err := c.call(tc.name, tc.args...)
		var fault *wasm.Fault
		if !errors.As(err, &fault) || fault.Kind != wasm.Trapped || !strings.Contains(err.Error(), "outside of the guest's memory") {
			t.Errorf("%s%v: got %v, want a trap", tc.name, tc.args, err)
		}
	}
}

func TestNoExchange(t *testing.T) {
	for name, args := range map[string][]any{
		"set_upstream": {"blue"}, "get_upstream": {0, 0}, "set_hash_key": {"k"}, "set_timeout": {1},
		"set_retries": {1}, "annotate": {"k", "v"},
	} {
		c := newCaller(t)
		c.instance.Call().Exchange = nil
		if _, err := c.call(name, args...); !errors.Is(err, wasm.ErrNoExchange) {
			t.Errorf("%s: got %v, want %v", name, err, wasm.ErrNoExchange)
		}
	}
	c := newCaller(t)
	c.instance.Call().Exchange = nil
	c.do("emit", 0, "hello", "")
	if got, want := c.log.String(), "level=INFO msg=hello\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A route that is chosen from a few again and again costs no allocation. What
// stops a guest is left out: its cost is not the capability's.
func TestRouteAllocatesNothing(t *testing.T) {
	c := newCallerOn(t, wasm.Options{Unmetered: true})
	c.want(ok, "set_upstream", "blue")
	c.want(4, "get_upstream", 512, 100)
	set, get := c.functions["set_upstream"], c.functions["get_upstream"]
	var stack [3]uint64
	if got := testing.AllocsPerRun(100, func() {
		stack[0], stack[1] = 1024, 4
		_ = c.instance.Invoke(set, stack[:])
		stack[0], stack[1] = 512, 100
		_ = c.instance.Invoke(get, stack[:])
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// isOutside reports whether a guest was trapped for a range outside of its memory.
func isOutside(err error) bool {
	return !errors.As(err, new(runtime.Error)) && strings.Contains(err.Error(), "outside of the guest's memory")
}

// FuzzArguments calls every function with any pointers and lengths.
func FuzzArguments(f *testing.F) {
	f.Add(uint8(0), uint32(1024), uint32(4), uint32(0), uint32(0), uint32(0), []byte("blue"))
	f.Add(uint8(1), uint32(outside), uint32(100), uint32(0), uint32(0), uint32(0), []byte{})
	f.Add(uint8(5), uint32(0), uint32(1024), uint32(3), uint32(1024), uint32(9), []byte("a\x00b\x00\x00\xff"))
	f.Add(uint8(6), uint32(1024), uint32(1), uint32(0xffffffff), uint32(0xffffffff), uint32(0), []byte("k"))
	names := []struct {
		name   string
		params int
	}{
		{"set_upstream", 2}, {"get_upstream", 2}, {"set_hash_key", 2}, {"set_timeout", 1}, {"set_retries", 1},
		{"emit", 5}, {"annotate", 4}, {"add_fallback", 2},
	}
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e uint32, memory []byte) {
		guest := newCaller(t)
		guest.x.Route.Upstream = "blue"
		guest.instance.Memory().Write(1024, memory[:min(len(memory), 32<<10)])
		function := names[int(which)%len(names)]
		stack := []uint64{uint64(a), uint64(b), uint64(c), uint64(d), uint64(e)}[:max(function.params, 1)]
		err := guest.instance.Invoke(guest.instance.Function(function.name), stack)
		if err != nil && !isOutside(err) {
			t.Errorf("%s: %v", function.name, err)
		}
		r := guest.x.Route
		if !(upstreams{"blue": true})[r.Upstream] || r.Timeout > maxTimeout || r.Retries > maxRetries || len(r.HashKey) > maxHashKey {
			t.Errorf("unsound route %+v", r)
		}
		for _, n := range guest.x.Notes {
			if n.Key == "" || !utf8.ValidString(n.Key) || !utf8.ValidString(n.Value) {
				t.Errorf("unsound note %q", n)
			}
		}
	})
}
