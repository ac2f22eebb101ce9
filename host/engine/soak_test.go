package engine

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream"
)

// footprint is what a host holds on to.
type footprint struct {
	heapBytes  uint64
	goroutines int
	series     int    // metrics of our own
	loads      string // what a metric of the policy's own says
}

// measure looks when old generations are closed.
func (b *bench) measure() footprint {
	b.t.Helper()
	eventually(b.t, "old generations are closed", func() bool { return len(b.e.Status().Draining) == 0 })
	b.loader.forget()
	var f footprint
	eventually(b.t, "goroutines settle", func() bool {
		before := f.goroutines
		runtime.Gosched()
		f.goroutines = runtime.NumGoroutine()
		return f.goroutines == before
	})
	runtime.GC()
	runtime.GC() // what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heapBytes = m.HeapAlloc
	w := httptest.NewRecorder()
	b.e.opts.Telemetry.Metrics.Handler(b.e.opts.Log).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "ergo_") {
			f.series++
		}
		if strings.HasPrefix(line, "ergo_guest_counter_loads_total{") {
			f.loads = line
		}
	}
	return f
}

// TestSwapsLeaveNothing swaps 10,000 times, each time to other policies, stages
// and upstreams, with exchanges in between, and holds what is there after the
// last against what was there after the first tenth.
func TestSwapsLeaveNothing(t *testing.T) {
	swaps := 10_000
	if testing.Short() || race.Enabled {
		swaps = 1_000
	}
	b := newBench(t)
	tel, err := telemetry.New(telemetry.Config{}, "test", b.e.opts.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Shutdown(context.Background())
	if err := b.ups.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	opts := b.e.opts
	b.ups = upstream.NewRegistry(upstream.Options{Log: opts.Log, RED: tel.Metrics.Upstream, Metrics: tel.Metrics})
	opts.Telemetry, opts.Upstreams, opts.Grant = tel, b.ups, nil
	b.e = New(opts)

	var before footprint
	for n := range swaps {
		from := b.manifest([]string{mark(fmt.Sprint(n)), mark("same")}, []string{mark(fmt.Sprint(-n - 1))}, "keep_generations = 2")
		b.swap(edited(t, from, `name = "s1"`, fmt.Sprintf(`name = "s-%d"`, n), "origin", fmt.Sprintf("origin-%d", n), `source = "marker"`, `source = "marker/policy.wasm"`))
		if n%100 != 0 {
			continue
		}
		if got, want := b.get().header.Value("x-seen"), fmt.Sprintf("%d,same,%d", n, -n-1); got != want {
			t.Fatalf("after swap %d an exchange saw %s, want %s", n, got, want)
		}
		b.loader.forget()
		if n == swaps/10 { // pools are warm
			before = b.measure()
		}
	}
	b.get()
	after := b.measure()
	if n := b.loader.open(); n != 7 {
		t.Errorf("%d policies are open, want two in each of three generations and one in all", n)
	}
	if after.series > before.series {
		t.Errorf("%d metric series became %d", before.series, after.series)
	}
	if want := fmt.Sprint("} ", 2*swaps+1, "\n"); !strings.HasSuffix(after.loads, want) {
		t.Errorf("a policy of which one use stays counts %q, want %q", after.loads, want)
	}
	if after.goroutines > before.goroutines+2 {
		t.Errorf("%d goroutines became %d", before.goroutines, after.goroutines)
	}
	if grown := int64(after.heapBytes) - int64(before.heapBytes); grown > 1<<20 {
		t.Errorf("%d bytes became %d", before.heapBytes, after.heapBytes)
	}
	if err := b.e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// oneChange is a Listeners that knows whether two changes are open at once.
type oneChange struct {
	t    *testing.T
	open atomic.Int32
}

func (l *oneChange) Prepare([]manifest.Listener) (ListenerChange, error) {
	if l.open.Add(1) > 1 {
		l.t.Error("two changes of listeners at once")
	}
	return &openChange{l: l}, nil
}

type openChange struct {
	l    *oneChange
	done atomic.Bool
}

func (c *openChange) end() {
	if c.done.Swap(true) {
		c.l.t.Error("a change of listeners ended twice")
	}
	c.l.open.Add(-1)
}

func (c *openChange) Commit() { c.end() }
func (c *openChange) Abort()  { c.end() }

// TestHammer swaps, rolls back, checks and reads all at once, under exchanges,
// and closes twice in the end.
func TestHammer(t *testing.T) {
	b := newBench(t)
	opts := b.e.opts
	listeners := &oneChange{t: t}
	opts.Listeners = listeners
	b.e = New(opts)
	b.swap(b.manifest([]string{mark("0")}, nil))
	h := &hammer{bench: b, rounds: 60}
	if testing.Short() {
		h.rounds = 15
	}
	var reads, changes sync.WaitGroup
	for range 3 {
		reads.Go(h.exchange)
	}
	reads.Go(h.look)
	for worker := range 2 {
		changes.Go(func() { h.swapOften(worker) })
	}
	changes.Go(h.rollBackOften)
	changes.Go(h.checkOften)
	changes.Wait()
	h.stop.Store(true)
	reads.Wait()
	if n := listeners.open.Load(); n != 0 {
		t.Errorf("%d changes of listeners are still open", n)
	}
	closing := make(chan error)
	for range 2 {
		go func() { closing <- b.e.Close(context.Background()) }()
	}
	for range 2 {
		if err := <-closing; err != nil {
			t.Error(err)
		}
	}
	if s := b.e.Status(); len(s.Draining) != 0 || b.loader.open() != 0 {
		t.Errorf("%d generations are draining, %d policies open", len(s.Draining), b.loader.open())
	}
}

// hammer is what everybody does in TestHammer.
type hammer struct {
	*bench
	rounds int
	stop   atomic.Bool
}

func (h *hammer) exchange() {
	for !h.stop.Load() {
		a := h.get()
		if seen := strings.Split(a.header.Value("x-seen")+","+a.marks(), ","); a.status != 200 || len(seen) != 2 || seen[0] != seen[1] {
			h.t.Errorf("status %d, marks %v: want one generation", a.status, seen)
			return
		}
	}
}

func (h *hammer) look() {
	for !h.stop.Load() {
		h.e.Status()
		h.e.Manifest()
		newest := uint64(0)
		for _, r := range h.e.History() {
			newest = max(newest, r.To)
			if r.Running && r.Refused {
				h.t.Error("what was refused runs")
			}
		}
		if id := h.e.Status().Generation.ID; newest > 0 && id == 0 {
			h.t.Errorf("no generation runs after %d", newest)
		}
	}
}

func (h *hammer) swapOften(worker int) {
	for n := range h.rounds {
		settings := fmt.Sprintf("keep_generations = %d\ndrain_timeout = %q", n%4, []string{"1h", "0s"}[n%2])
		if _, err := h.e.Swap(context.Background(), "swap", h.manifest([]string{mark(fmt.Sprintf("%d-%d", worker, n))}, nil, settings)); err != nil {
			h.t.Error(err)
		}
	}
}

// rollBackOften also has callers that are gone, and manifests that are wrong.
func (h *hammer) rollBackOften() {
	for n := range h.rounds {
		ctx, cancel := context.WithCancel(context.Background())
		if n%2 == 0 {
			cancel()
		}
		_, _ = h.e.Rollback(ctx, 1+n%3) // there may be none
		if _, err := h.e.Swap(ctx, "swap", h.manifest([]string{`{ mrak = "wrong" }`}, nil)); err == nil {
			h.t.Error("a wrong manifest was accepted")
		}
		cancel()
	}
}

func (h *hammer) checkOften() {
	for n := range h.rounds {
		if _, err := h.e.Check(context.Background(), h.manifest([]string{mark(fmt.Sprint("check", n))}, nil)); err != nil {
			h.t.Error(err)
		}
	}
}

// TestCloseDuringChanges closes while swaps, rollbacks and exchanges that began
// before are under way.
func TestCloseDuringChanges(t *testing.T) {
	for range 10 {
		b := newBench(t)
		gate := make(chan struct{})
		b.loader.gates["g"] = gate
		b.swap(b.manifest([]string{`{ mark = "a", gate = "g" }`}, nil))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { b.get(func(x *exchange.Exchange) {}) })
		}
		eventually(t, "exchanges are inside", func() bool { return b.e.Status().Generation.InFlight == 3 })
		for n := range 3 {
			wg.Go(func() {
				_, _ = b.e.Swap(context.Background(), "swap", b.manifest([]string{mark(fmt.Sprint(n))}, nil))
				_, _ = b.e.Rollback(context.Background(), 1)
			})
		}
		wg.Go(func() {
			if err := b.e.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		close(gate)
		wg.Wait()
		if n := b.loader.open(); n != 0 {
			t.Fatalf("%d policies are open after Close", n)
		}
	}
}
