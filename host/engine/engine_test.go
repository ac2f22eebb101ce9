package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func TestRequestPassesTiersInOrderAndResponseComesBack(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("e1"), mark("e2")}, []string{mark("s1"), mark("s2")}))
	a := b.get()
	if a.status != 200 || a.body != "hello" {
		t.Fatalf("got %d %q", a.status, a.body)
	}
	if got, want := a.header.Value("x-seen"), "e1,e2,s1,s2"; got != want {
		t.Errorf("the origin saw %s, want %s", got, want)
	}
	if got, want := a.marks(), "s2,s1,e2,e1"; got != want {
		t.Errorf("the response passed %s, want %s", got, want)
	}
}

func TestAnswerTurnsTheExchangeRound(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("e1"), `{ mark = "e2", answer = 403 }`, mark("e3")}, []string{mark("s1")}))
	a := b.get()
	if a.status != 403 {
		t.Errorf("got status %d, want 403", a.status)
	}
	if got, want := a.marks(), "e1"; got != want {
		t.Errorf("the answer passed %q, want %q: only policies already passed see it", got, want)
	}
}

func TestFailureOfTheServiceTierReachesEdgePolicies(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("outer"), `{ mark = "fallback", rescue = 203 }`}, []string{`{ trap = true }`}))
	a := b.get()
	if a.status != 203 || a.x.Failure != nil {
		t.Errorf("got status %d, failure %v: want the fallback's 203", a.status, a.x.Failure)
	}
	if got, want := a.marks(), "outer"; got != want {
		t.Errorf("the fallback passed %q, want %q", got, want)
	}
}

func TestFailureShowsNoInternals(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest(nil, []string{`{ trap = true }`}))
	a := b.get()
	if a.status != 500 || strings.Contains(a.body, "secret") {
		t.Errorf("got %d %q", a.status, a.body)
	}
}

func TestUnknownRouteIsNotFound(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest(nil, nil))
	if a := b.get(func(x *exchange.Exchange) { x.Route.Upstream = "nowhere" }); a.status != 404 {
		t.Errorf("got status %d, want 404", a.status)
	}
}

func TestSwapCarriesOverWhatDidNotChange(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a"), mark("b")}, nil))
	change := b.swap(b.manifest([]string{mark("c"), mark("a")}, []string{mark("b")}))
	if change.Loaded != 1 || change.Kept != 2 || len(b.loader.all()) != 3 {
		t.Errorf("loaded %d, kept %d, %d loads in all; want 1, 2, 3", change.Loaded, change.Kept, len(b.loader.all()))
	}
	if got, want := b.get().header.Value("x-seen"), "c,a,b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSwapOfTheSameIsNoGeneration(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a")}, nil))
	change := b.swap(b.manifest([]string{mark("a")}, nil))
	if change.From != change.To || len(b.e.History()) != 1 {
		t.Errorf("from %d to %d with %d records; want no new generation", change.From, change.To, len(b.e.History()))
	}
}

func TestSwapOfPolicyBytesAlone(t *testing.T) {
	b := newBench(t)
	from := b.manifest([]string{mark("a")}, nil)
	b.swap(from)
	b.write("marker/policy.wasm", "\x00asm\x01\x00\x00\x00\x00\x05\x04next")
	change := b.swap(from)
	if change.From == change.To || change.Loaded != 1 || len(change.Changes) != 1 || !strings.Contains(change.Changes[0], "marker") {
		t.Errorf("got %+v", change)
	}
}

func TestRefusedSwapChangesNothingAndSaysAll(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a")}, nil))
	before := b.e.Status().Generation
	_, err := b.e.Swap(context.Background(), "swap", b.manifest([]string{`{ mark = 5 }`, `{ refuse = true }`}, []string{`{ mrak = "x" }`}))
	var problems manifest.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("got %v, want three problems", err)
	}
	for i, want := range []string{"edge.stage[0].use[0].config.mark", "edge.stage[1].use[0].config.refuse: told to refuse", "service.stage[0].use[0].config"} {
		if p := problems[i]; p.Line == 0 || !strings.HasPrefix(p.Path+": "+p.Wrong, want) || strings.Contains(p.Wrong, "\n") {
			t.Errorf("problem %d is %s, want one at %s", i, p, want)
		}
	}
	if got := b.e.Status().Generation; got != before {
		t.Errorf("the running generation is %+v, was %+v", got, before)
	}
	if got := b.get().header.Value("x-seen"); got != "a" {
		t.Errorf("got %s, want a", got)
	}
	last := b.e.History()[1]
	if !last.Refused || len(last.Problems) != 3 || last.Running {
		t.Errorf("history says %+v", last)
	}
}

func TestExchangeEndsInTheGenerationItBeganIn(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	b.loader.gates["g"] = gate
	b.swap(b.manifest([]string{`{ mark = "old", gate = "g" }`}, []string{mark("old2")}, "keep_generations = 0"))
	done := make(chan *answer)
	go func() { done <- b.get() }()
	eventually(t, "the exchange is inside", func() bool { return b.e.Status().Generation.InFlight == 1 })

	b.swap(b.manifest([]string{mark("new")}, []string{mark("new2")}, "keep_generations = 0"))
	if got := b.get().header.Value("x-seen"); got != "new,new2" {
		t.Errorf("a new exchange saw %s", got)
	}
	if s := b.e.Status(); len(s.Draining) != 1 || b.loader.open() != 4 {
		t.Errorf("%d generations are draining with %d policies open; want 1 and 4", len(s.Draining), b.loader.open())
	}
	close(gate)
	a := <-done
	if got, want := a.header.Value("x-seen")+" "+a.marks(), "old,old2 old2,old"; got != want {
		t.Errorf("the old exchange saw %s, want %s", got, want)
	}
	eventually(t, "the old generation is closed", func() bool {
		return len(b.e.Status().Draining) == 0 && b.loader.open() == 2
	})
}

func TestDrainDeadlineEndsExchanges(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil, "keep_generations = 0"))
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		b.get(func(x *exchange.Exchange) { x.Sink = held })
		close(done)
	}()
	<-held.sending
	b.swap(b.manifest([]string{mark("new")}, nil, "keep_generations = 0", `drain_timeout = "10ms"`))
	<-done
	if !errors.Is(held.err, errDrained) {
		t.Errorf("the exchange ended with %v, want the drain deadline", held.err)
	}
}

func TestTunnelOutlivesItsGeneration(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil, "keep_generations = 0", `drain_timeout = "1ms"`))
	g := b.e.current.Load()
	forward := g.next
	g.next = func(r *ride) *exchange.Failure {
		if f := forward(r); f != nil {
			return f
		}
		x := r.x
		x.Response.Status, x.Response.Tunnel = 101, pipe{}
		return nil
	}
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		b.get(func(x *exchange.Exchange) { x.Sink = held })
		close(done)
	}()
	<-held.sending
	b.swap(b.manifest([]string{mark("new")}, nil, "keep_generations = 0", `drain_timeout = "1ms"`))
	eventually(t, "the old generation is closed", func() bool { return b.loader.open() == 1 })
	close(held.hold)
	<-done
	if held.err != nil || held.marks() != "old" {
		t.Errorf("the tunnel ended with %v, marks %s", held.err, held.marks())
	}
}

type pipe struct{}

func (pipe) Read([]byte) (int, error)    { return 0, errors.New("not read here") }
func (pipe) Write(p []byte) (int, error) { return len(p), nil }
func (pipe) Close() error                { return nil }

func TestRollback(t *testing.T) {
	b := newBench(t)
	for _, m := range []string{"1", "2", "3", "4"} {
		b.swap(b.manifest([]string{mark(m)}, nil))
	}
	for _, s := range []struct {
		steps int
		want  string
	}{{1, "3"}, {2, "1"}} {
		loads := len(b.loader.all())
		if _, err := b.e.Rollback(context.Background(), s.steps); err != nil {
			t.Fatal(err)
		}
		if got := b.get().header.Value("x-seen"); got != s.want || len(b.loader.all()) != loads {
			t.Errorf("after %d steps back: %s with %d loads; want %s with none", s.steps, got, len(b.loader.all())-loads, s.want)
		}
	}
	if _, err := b.e.Rollback(context.Background(), 1); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("got %v, want ErrNoGeneration", err)
	}
	eventually(t, "generations that were left are closed", func() bool { return b.loader.open() == 1 })
}

func TestRollbackReachesAcrossARestartWithoutSources(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	b.swap(b.manifest([]string{mark("2")}, nil))
	b.start()
	b.swap(b.manifest([]string{mark("3")}, nil))
	if id := b.e.Status().Generation.ID; id != 3 {
		t.Errorf("the first generation after a restart is %d, want 3", id)
	}
	if err := os.RemoveAll(filepath.Join(b.folder, "marker")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.e.Rollback(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if got := b.get().header.Value("x-seen"); got != "1" {
		t.Errorf("got %s, want 1", got)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	b := newBench(t)
	if _, err := b.e.Check(context.Background(), b.manifest([]string{mark("1")}, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.folder, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("check wrote to the data directory: %v", err)
	}
	if b.e.Ready() || b.loader.open() != 0 || len(b.e.History()) != 0 {
		t.Errorf("ready %v, %d policies open, %d records", b.e.Ready(), b.loader.open(), len(b.e.History()))
	}
}

func TestPolicyThatCannotLoadFollowsItsRule(t *testing.T) {
	b := newBench(t)
	from := b.manifest([]string{`{ refuse = true }`, mark("after")}, nil)
	text := strings.Replace(string(from.Data), "config = { refuse", "on_error = { config = { respond = 418 } }\nconfig = { refuse", 1)
	b.swap(Source{Path: from.Path, Data: []byte(text)})
	if a := b.get(); a.status != 418 {
		t.Errorf("got status %d, want the rule's 418", a.status)
	}
}

func TestSwapsUnderLoad(t *testing.T) {
	b := newBench(t)
	swaps := 200
	if testing.Short() {
		swaps = 20
	}
	b.swap(b.manifest([]string{mark("0")}, []string{mark("0")}, "keep_generations = 2"))
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				a := b.get()
				seen := strings.Split(a.header.Value("x-seen")+","+a.marks(), ",")
				for _, m := range seen {
					if a.status != 200 || m != seen[0] || len(seen) != 4 {
						t.Errorf("status %d, marks %v: want one generation", a.status, seen)
						return
					}
				}
			}
		})
	}
	for n := 1; n <= swaps; n++ {
		m := mark(fmt.Sprint(n))
		b.swap(b.manifest([]string{m}, []string{m}, "keep_generations = 2"))
		if n%10 == 0 {
			if _, err := b.e.Rollback(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	eventually(t, "old generations are closed", func() bool {
		return len(b.e.Status().Draining) == 0 && b.loader.open() <= 3
	})
}

func TestCloseWaitsForExchangesAndEndsThemAtItsDeadline(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest(nil, nil))
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		b.get(func(x *exchange.Exchange) { x.Sink = held })
		close(done)
	}()
	<-held.sending
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := b.e.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-done
	if !errors.Is(held.err, errShutdown) && !errors.Is(held.err, errDrained) {
		t.Errorf("the exchange ended with %v", held.err)
	}
}

func TestTwoHostsCannotShareData(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	second := New(b.e.opts)
	_, err := second.Swap(context.Background(), "start", b.manifest([]string{mark("2")}, nil))
	if err == nil || !strings.Contains(err.Error(), "another host") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := second.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestUnusableDataDirectoryCostsRollbacksOnly(t *testing.T) {
	b := newBench(t)
	b.write("data", "a file where the folder should be")
	b.swap(b.manifest([]string{mark("1")}, nil))
	change := b.swap(b.manifest([]string{mark("2")}, nil))
	if change.From == change.To || b.get().header.Value("x-seen") != "2" {
		t.Errorf("got %+v", change)
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil || b.get().header.Value("x-seen") != "1" {
		t.Errorf("rollback in memory: %v", err)
	}
	if _, err := b.e.Rollback(context.Background(), 1); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("got %v, want ErrNoGeneration", err)
	}
}
