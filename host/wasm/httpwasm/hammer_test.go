package httpwasm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Many exchanges at once, of which some break their guest: none sees what is
// another's, and what is lent comes back.
func TestHammer(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		s := script{
			start: []step{do("enable_features", 3)},
			request: []step{
				do("read_all", requestBody, out(0), 100),
				do("set_header_value", requestFields, "x-policy", "1"),
				do("get_header_values", requestFields, "x-who", out(2), room),
			},
			response: []step{do("echo", responseBody, out(3), 3, responseBody)},
		}
		spec := specOf(s)
		spec.Artifact.File.Needs.Stateless = stateless
		p := loadSpec(t, openEngine(t), spec)
		var wg sync.WaitGroup
		for worker := range 16 {
			wg.Go(func() {
				for range 50 {
					hammerOne(t, p, worker)
				}
			})
		}
		wg.Wait()
		if got := p.Stats(); got.Busy != 0 || got.Instances > 4 || got.Overloads != 0 {
			t.Errorf("stateless %v: got %+v", stateless, got)
		}
	}
}

func hammerOne(t *testing.T, p *Policy, worker int) {
	who := strings.Repeat(string(rune('a'+worker)), 20)
	x := withBody(who)
	x.Request.Header.Add("x-who", who)
	i, err := p.Acquire(x)
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Release(i)
	if worker%8 == 0 { // a sender that breaks off traps the guest
		x.Request.Body = &failing{}
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		var broken *exchange.BodyError
		if worker%8 != 0 || !errors.As(err, &broken) {
			t.Error(err)
		}
		return
	}
	if got := readAll(t, x.Request.Body); got != who {
		t.Errorf("body %q, want %q", got, who)
	}
	answered(x, 200, who)
	if err := p.OnResponseHead(i, x); err != nil {
		t.Error(err)
		return
	}
	if got := readAll(t, x.Response.Body); got != who {
		t.Errorf("response %q, want %q", got, who)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("reset") }
func (*failing) Close() error             { return nil }

// Close waits for what is lent, and turns away who comes later.
func TestCloseWhileBusy(t *testing.T) {
	engine := openEngine(t)
	p, err := NewLoader(engine).Load(t.Context(), specOf(script{}))
	if err != nil {
		t.Fatal(err)
	}
	x := newExchange()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- p.Close(context.Background()) }()
	waitFor(t, func() bool {
		late, err := p.Acquire(newExchange())
		if err == nil {
			p.Release(late)
		}
		return errors.Is(err, wasm.ErrClosed)
	})
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Errorf("an exchange that is under way: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("closed with an instance lent: %v", err)
	default:
	}
	p.Release(i)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := p.Stats(); got.Instances != 0 || got.MemoryBytes != 0 {
		t.Errorf("got %+v, want nothing left", got)
	}
}

// A close that can't wait any longer says so; the rest goes when it comes back.
func TestCloseThatCannotWait(t *testing.T) {
	engine := openEngine(t)
	p, err := NewLoader(engine).Load(t.Context(), specOf(script{}))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Acquire(newExchange())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	p.Release(i)
	if got := p.Stats(); got.Instances != 0 || got.MemoryBytes != 0 {
		t.Errorf("got %+v, want nothing left", got)
	}
}

func TestLoadAndCloseLeaveNothing(t *testing.T) {
	engine, err := wasm.Open(wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.Background())
	cycle := func() {
		p, err := NewLoader(engine).Load(t.Context(), specOf(script{}))
		if err != nil {
			t.Fatal(err)
		}
		pass(t, p.(*Policy))
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		cycle()
	}
	goroutines, heap := runtime.NumGoroutine(), liveHeap()
	for range 200 {
		cycle()
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines })
	if grown := int64(liveHeap()) - int64(heap); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes in 200 loads", grown)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // native code goes by finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 10 s")
		}
		runtime.Gosched()
	}
}

// While guests are endless and the collector runs, others are served.
func TestEndlessGuestsDoNotStopOthers(t *testing.T) {
	engine := openEngine(t)
	bad := specOf(script{request: []step{do("spin")}})
	bad.Settings.Limits.Time = manifest.Duration(20 * time.Millisecond)
	endless := loadSpec(t, engine, bad)
	good := loadSpec(t, engine, specOf(headerOnly))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			x := newExchange()
			i, err := endless.Acquire(x)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = endless.OnRequestHead(i, x)
			endless.Release(i)
		}
	})
	for range 20 {
		pass(t, good)
		runtime.GC()
	}
	stop.Store(true)
	wg.Wait()
}
