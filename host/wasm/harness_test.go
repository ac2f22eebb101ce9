package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
)

//go:embed testdata/guest.wasm
var guestModule []byte

//go:embed testdata/imports.wasm
var importsModule []byte

//go:embed testdata/large.wasm
var largeModule []byte

// Ways in which testdata/guest.wat starts.
const (
	startWell = iota
	startNever
	startTrap
	startExit
	startBomb
)

// testABI is what testdata/guest.wat imports as "test".
func testABI(how int, block func(*Call)) HostModule {
	return HostModule{Name: "test", Functions: []HostFunction{
		{Name: "start", Results: []api.ValueType{I32}, Call: func(_ context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(how)
		}},
		{Name: "block", Call: func(ctx context.Context, _ api.Module, _ []uint64) {
			if block != nil {
				block(CallOf(ctx))
			}
		}},
	}}
}

func openEngine(t testing.TB, options Options) *Engine {
	t.Helper()
	e, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func compile(t testing.TB, e *Engine, module []byte, abi HostModule) *Program {
	t.Helper()
	p, err := e.Compile(context.Background(), source(module, abi))
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

func source(module []byte, abi HostModule) Source {
	return Source{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(module)), Module: module, ABI: abi}
}

func configFor(callTime time.Duration) InstanceConfig {
	return InstanceConfig{MemoryBytes: 1 << 20, CallTime: callTime, Log: NewLog(nil, 10), Held: new(Held)}
}

func start(t testing.TB, p *Program, config InstanceConfig) *Instance {
	t.Helper()
	i, err := p.Start(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return i
}

// guest starts an instance of testdata/guest.wat.
func guest(t testing.TB, callTime time.Duration, block func(*Call)) *Instance {
	t.Helper()
	return guestWith(t, Options{}, callTime, block)
}

func guestWith(t testing.TB, options Options, callTime time.Duration, block func(*Call)) *Instance {
	t.Helper()
	p := compile(t, openEngine(t, options), guestModule, testABI(startWell, block))
	return start(t, p, configFor(callTime))
}

// handClock is moved by hand, and by a step whenever it is read.
type handClock struct{ time, step time.Duration }

func (c *handClock) now() time.Duration {
	c.time += c.step
	return c.time
}

// callFor is a call outside of any instance.
func callFor(log *Log, clock *handClock) *Call {
	return &Call{Log: log, budget: budget{now: clock.now}}
}

// invoke calls a function that takes at most one parameter and returns at most
// one result.
func invoke(i *Instance, name string, param ...uint64) (uint64, error) {
	stack := append(param, 0)
	err := i.Invoke(i.Function(name), stack)
	return stack[0], err
}

func wantFault(t testing.TB, err error, want FaultKind) {
	t.Helper()
	var fault *Fault
	if !errors.As(err, &fault) {
		t.Fatalf("error %v, want a fault of kind %q", err, want)
	}
	if fault.Kind != want {
		t.Fatalf("fault %v, want kind %q", err, want)
	}
}

func plainLogger(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
