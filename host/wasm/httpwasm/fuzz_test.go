package httpwasm

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// FuzzHostFunctions lets a guest call anything with any arguments: the host
// never fails of itself, and what leaves the policy is sound HTTP.
func FuzzHostFunctions(f *testing.F) {
	for _, s := range append(hostileScripts(), headerOnly) {
		f.Add(s.config())
	}
	engine, err := wasm.Open(wasm.Options{StartTimeout: 100 * time.Millisecond})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = engine.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, config []byte) {
		if !tame(config) {
			t.Skip()
		}
		spec := specOf(script{})
		spec.Config = config
		spec.Settings.Limits.Time = manifest.Duration(100 * time.Millisecond)
		p, err := NewLoader(engine).Load(context.Background(), spec)
		if err != nil {
			soundError(t, err)
			return
		}
		defer p.Close(context.Background())
		fuzzOne(t, p.(*Policy))
	})
}

// hostileScripts call what they should not, or as they should not.
func hostileScripts() []script {
	return []script{
		{request: []step{do("enable_features", 7), do("echo", 0, out(0), 100, 1), do("set_header_value", 2, "a", "b"), do("result", 0)}},
		{request: []step{do("enable_features", 2)}, response: []step{do("write_body", 1, "x"), do("set_status_code", 204), do("add_header_value", 3, "a", "b")}},
		{request: []step{do("set_method", "G\x00"), do("get_config", outside, -1)}},
		{request: []step{do("read_body", 0, -1, -1), do("write_body", 1, -8, 16)}},
	}
}

// tame leaves out what only takes time: endless guests, and more steps than
// a test needs.
func tame(config []byte) bool {
	if len(config) < 16 || len(config) > 8<<10 {
		return false
	}
	total := uint32(0)
	for n := range 3 {
		count := binary.LittleEndian.Uint32(config[4*n:])
		if count > 64 {
			return false
		}
		total += count
	}
	for n := range int(total) {
		if at := 16 + recordLen*n; at+4 <= len(config) {
			switch operations[min(int(binary.LittleEndian.Uint32(config[at:])), len(operations)-1)] {
			case "spin", "recurse", "grow":
				return false
			}
		}
	}
	return true
}

func fuzzOne(t *testing.T, p *Policy) {
	x := withBody("the request")
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	verdict, err := p.OnRequestHead(i, x)
	if err != nil {
		soundError(t, err)
		return
	}
	if !exchange.ValidTarget(x.Request.Method, x.Request.Target) || !exchange.ValidName(x.Request.Method) || !exchange.ValidAuthority(x.Request.Authority) {
		t.Errorf("unsound request line: %q %q %q", x.Request.Method, x.Request.Target, x.Request.Authority)
	}
	soundFields(t, &x.Request.Header)
	if verdict == policy.Continue {
		answered(x, 200, "the response")
		if err := p.OnResponseHead(i, x); err != nil {
			soundError(t, err)
			return
		}
	}
	soundFields(t, &x.Response.Header)
	if x.Response.Status < 200 || x.Response.Status > 599 {
		t.Errorf("status %d", x.Response.Status)
	}
	if x.Response.Body != nil && x.Response.Length >= 0 {
		if got := readAll(t, x.Response.Body); int64(len(got)) != x.Response.Length {
			t.Errorf("%d bytes of a body of length %d", len(got), x.Response.Length)
		}
	}
}

func soundFields(t *testing.T, h *exchange.Header) {
	for _, f := range h.Fields() {
		if !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) {
			t.Errorf("unsound field %q: %q", f.Name, f.Value)
		}
	}
}

// soundError refuses a failure that is the host's own bug.
func soundError(t *testing.T, err error) {
	t.Helper()
	var bug runtime.Error
	var failed *policy.Error
	if !errors.As(err, &failed) && !errors.Is(err, exchange.ErrBodyTooLarge) {
		t.Errorf("%v is not a policy's failure", err)
	}
	if errors.As(err, &bug) && failed != nil && hostBug(failed) {
		t.Errorf("the host failed of itself: %v", err)
	}
}

// hostBug tells a Go run-time error from one of wazero's, which are traps.
func hostBug(err error) bool {
	var fault *wasm.Fault
	return errors.As(err, &fault) && errors.As(fault.Err, new(runtime.Error))
}
