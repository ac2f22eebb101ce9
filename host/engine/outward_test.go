package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// ask makes a call as a policy's client does.
func ask(e *Engine, name string) (*exchange.Exchange, *exchange.Failure) {
	x := &exchange.Exchange{Request: exchange.Request{
		Method: "GET", Scheme: "http", Authority: name, Target: "/", Version: exchange.HTTP11,
	}}
	return x, e.Forward(x, name)
}

func read(t *testing.T, x *exchange.Exchange) string {
	t.Helper()
	text, err := io.ReadAll(x.Response.Body)
	if err != nil {
		t.Error(err)
	}
	if err := x.Response.Body.Close(); err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestCallOfAPolicy(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("e")}, []string{mark("s")}))
	x, f := ask(b.e, "origin")
	if f != nil {
		t.Fatal(f)
	}
	if got := read(t, x); got != "hello" || x.Response.Status != 200 {
		t.Errorf("got %d %q", x.Response.Status, got)
	}
	if seen := x.Response.Header.Value("x-seen"); seen != "" {
		t.Errorf("the call passed policies: %q", seen)
	}
	if n := b.e.current.Load().inFlight(); n != 0 {
		t.Errorf("%d calls are in flight after the end", n)
	}
}

// TestCallKeepsItsGeneration has a generation live until the answer is read, and
// the next call go to the next generation.
func TestCallKeepsItsGeneration(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil, "keep_generations = 0"))
	x, f := ask(b.e, "origin")
	if f != nil {
		t.Fatal(f)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") }))
	defer other.Close()
	next := b.manifest([]string{mark("new")}, nil, "keep_generations = 0")
	next.Data = []byte(strings.Replace(string(next.Data), b.origin, other.URL, 1))
	b.swap(next)
	if n := len(b.e.Status().Draining); n != 1 {
		t.Errorf("%d generations drain, want 1", n)
	}
	after, f := ask(b.e, "origin")
	if f != nil {
		t.Fatal(f)
	}
	if got := read(t, after); got != "other" {
		t.Errorf("a call after the swap got %q, want what the new upstream says", got)
	}
	if got := read(t, x); got != "hello" {
		t.Errorf("a call from before the swap got %q", got)
	}
	eventually(t, "the old generation is closed", func() bool { return len(b.e.Status().Draining) == 0 })
}

func TestCallThatReachesNobody(t *testing.T) {
	b := newBench(t)
	if _, f := ask(b.e, "origin"); f == nil || !errors.Is(f, errNotRunning) {
		t.Errorf("before the first generation: got %v", f)
	}
	b.swap(b.manifest(nil, nil))
	if _, f := ask(b.e, "nowhere"); f == nil || f.Cause != exchange.CauseNoRoute {
		t.Errorf("an unknown upstream: got %v", f)
	}
	if err := b.e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, f := ask(b.e, "origin"); f == nil || !errors.Is(f, errNotRunning) {
		t.Errorf("after the engine's end: got %v", f)
	}
}

func TestCallOfAnEdgeHost(t *testing.T) {
	b := newBench(t)
	from := b.manifest([]string{mark("e")}, nil)
	from.Data = []byte(strings.Replace(string(from.Data), "[edge]\n", `[policy.marker.http]
upstreams = ["origin"]
[upstream.hosts]
endpoints = ["https://127.0.0.1:1"]
tls = { ca = "ca.pem", cert = "host.pem", key = "host.key" }
[split]
hosts = "hosts"
[edge]
`, 1))
	ca := hosttest.NewCA(t)
	ca.WriteCA(t, b.folder)
	ca.Write(t, b.folder, "host", "127.0.0.1")
	opts := b.e.opts
	opts.Mode = Edge
	b.e = New(opts)
	change := b.swap(from)
	if all := strings.Join(change.Warnings, "\n"); !strings.Contains(all, "policy.marker.http.upstreams[0]: an edge host does not open \"origin\"") {
		t.Errorf("got warnings %q", all)
	}
	if _, f := ask(b.e, "origin"); f == nil || !errors.Is(f, errNotHere) {
		t.Errorf("got %v, want %v", f, errNotHere)
	}
	if err := b.e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCallWaitsForItsGeneration has a policy call an upstream while the generation
// is built that has it.
func TestCallWaitsForItsGeneration(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil))
	next := b.manifest([]string{mark("new"), `{ stall = true }`}, nil)
	next.Data = append(next.Data, "\n[upstream.late]\nendpoints = [\""+b.origin+"\"]\n"...)
	ctx, cancel := context.WithCancel(context.Background())
	swapped := make(chan error, 1)
	go func() {
		_, err := b.e.Swap(ctx, "swap", next)
		swapped <- err
	}()
	<-b.loader.stalling
	answers := make(chan *exchange.Failure, 2)
	waits := func() {
		x, f := ask(b.e, "late")
		if f == nil {
			read(t, x)
		}
		answers <- f
	}
	go waits()
	if x, f := ask(b.e, "origin"); f != nil {
		t.Errorf("an upstream that runs: got %v", f)
	} else {
		read(t, x)
	}
	select {
	case f := <-answers:
		t.Errorf("the call did not wait: %v", f)
	default:
	}
	cancel()
	<-swapped
	if f := <-answers; f == nil || !errors.Is(f, errUnknown) {
		t.Errorf("after the swap failed: got %v, want %v", f, errUnknown)
	}

	next.Data = []byte(strings.Replace(string(next.Data), "{ stall = true }", mark("more"), 1))
	b.swap(next)
	go waits()
	if f := <-answers; f != nil {
		t.Errorf("after the swap: got %v", f)
	}
}

// TestCallsUnderSwaps makes calls while generations come and go, and the engine
// at last.
func TestCallsUnderSwaps(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("0")}, nil, "keep_generations = 0"))
	var calls sync.WaitGroup
	var stop atomic.Bool
	var answered atomic.Int64
	for range 4 {
		calls.Go(func() {
			for !stop.Load() {
				x, f := ask(b.e, "origin")
				if f != nil {
					t.Errorf("a call failed: %v", f)
					return
				}
				if text, err := io.ReadAll(x.Response.Body); err != nil || string(text) != "hello" {
					t.Errorf("got %q, %v", text, err)
				}
				x.Response.Body.Close()
				answered.Add(1)
			}
		})
	}
	for i := range 20 {
		b.swap(b.manifest([]string{mark(string(rune('a' + i)))}, nil, "keep_generations = 0"))
		before := answered.Load()
		eventually(t, "calls are answered", func() bool { return answered.Load() > before })
	}
	stop.Store(true)
	calls.Wait()
}
