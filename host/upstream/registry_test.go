package upstream

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// What is known of an endpoint passes from one generation to the next.
func TestStateSurvivesBuild(t *testing.T) {
	sick := new(atomic.Bool)
	s, conns := counted(t, func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() {
			w.WriteHeader(503)
		}
	})
	up := settings(s.URL)
	up.Outlier.Failures, up.Outlier.MaxEjected = 1, 100
	r := registry(t)
	first := build(t, r, up)
	get(t, first, "/")

	changed := up // what concerns no connection
	changed.Balance, changed.Timeout, changed.Retry.Attempts = "random", manifest.Duration(time.Minute), 0
	changed.Endpoints = []manifest.Endpoint{{URL: s.URL, Weight: 7}}
	second := build(t, r, changed)
	first.Close()
	get(t, second, "/")
	if got := conns.Load(); got != 1 {
		t.Errorf("got %d connections, want the first one used on", got)
	}
	if got := r.Status()[0]; got.Requests != 2 || got.Weight != 7 {
		t.Errorf("got %+v, want both generations' requests", got)
	}

	sick.Store(true)
	get(t, second, "/")
	third := build(t, r, up)
	second.Close()
	if f := third.Forward(ask("GET", "/", ""), "up"); f == nil || f.Cause != exchange.CauseNoEndpoint {
		t.Errorf("got %v, want the ejection to last", f)
	}

	// Other settings of connections mean other connections, not another endpoint.
	changed.Connections.Max = 5
	fourth := build(t, r, changed)
	if f := fourth.Forward(ask("GET", "/", ""), "up"); f == nil {
		t.Error("the ejection was forgotten")
	}
	third.Close()
	fourth.Close()
	if got := len(r.Status()); got != 0 {
		t.Errorf("got %d endpoints after the last generation", got)
	}
	sick.Store(false)
	get(t, build(t, r, up), "/") // nobody used it any more: it begins anew
}

// An exchange that began under an old generation ends under it.
func TestOldGenerationServesOn(t *testing.T) {
	a := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a") })
	b := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "b") })
	r := registry(t)
	old, young := build(t, r, settings(a.URL)), build(t, r, settings(b.URL))
	for range 3 {
		if _, body := get(t, old, "/"); body != "a" {
			t.Errorf("old generation: got %q", body)
		}
		if _, body := get(t, young, "/"); body != "b" {
			t.Errorf("new generation: got %q", body)
		}
	}
}

// A manifest that is refused leaves nothing behind and touches nothing.
func TestRefusedBuild(t *testing.T) {
	s := origin(t, func(http.ResponseWriter, *http.Request) {})
	r := registry(t)
	set := build(t, r, settings(s.URL))
	broken := settings("https://127.0.0.1:1")
	broken.TLS = &manifest.UpstreamTLS{CA: "/no/such/file"}
	_, err := r.Build(map[string]manifest.Upstream{"up": settings(s.URL), "other": broken})
	if err == nil || !strings.Contains(err.Error(), "upstream other") {
		t.Fatalf("got %v", err)
	}
	get(t, set, "/")
	if got := r.Status(); len(got) != 1 || len(r.sets) != 1 {
		t.Errorf("got %d endpoints of %d sets, want those of the running one", len(got), len(r.sets))
	}
}

func TestUnknownUpstream(t *testing.T) {
	set := build(t, registry(t), settings("http://127.0.0.1:1"))
	x := ask("GET", "/", "")
	if f := set.Forward(x, "nowhere"); f == nil || f.Cause != exchange.CauseNoRoute || f.Status != 404 || x.Route.Sent {
		t.Errorf("got %v, sent %v", f, x.Route.Sent)
	}
	if set.HasUpstream("nowhere") || !set.HasUpstream("up") {
		t.Error("HasUpstream is wrong")
	}
}

// A discovered endpoint begins slowly, those that a start finds do not.
func TestSlowStartIsForNewcomers(t *testing.T) {
	r := registry(t)
	set := build(t, r, settings("http://127.0.0.1:1", "http://127.0.0.1:2"))
	for _, m := range set.pools["up"].members.Load().all {
		if m.rampFrom.Load() != 0 {
			t.Errorf("%s ramps though all are new", m.address)
		}
	}
	next := build(t, r, settings("http://127.0.0.1:1", "http://127.0.0.1:3"))
	for _, m := range next.pools["up"].members.Load().all {
		if got, want := m.rampFrom.Load() != 0, m.address == "http://127.0.0.1:3"; got != want {
			t.Errorf("%s: got ramp %v, want %v", m.address, got, want)
		}
	}
}

// Everything at once, under the race detector.
func TestHammer(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		var urls []string
		for i := range 4 {
			s := plain(t, i%2 == 1, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.Write(append(body, "end"...))
			})
			defer s.Close()
			urls = append(urls, s.URL)
		}
		hammer(t, urls)
	}()
	eventually(t, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

func hammer(t *testing.T, urls []string) {
	metrics := telemetry.NewMetrics("test")
	r := NewRegistry(Options{RED: metrics.Upstream})
	make := func() map[string]manifest.Upstream {
		h1, h2 := settings(urls[0], urls[2]), settings(urls[1], urls[3])
		h2.Protocol = "h2"
		for _, up := range []*manifest.Upstream{&h1, &h2} {
			up.Balance = allBalancers[rand.N(len(allBalancers))]
			up.Connections.Max = 4 + rand.N(2)
			up.Endpoints = up.Endpoints[rand.N(2):]
			up.Health = quickHealth("http")
			up.SlowStart = manifest.Duration(time.Millisecond)
		}
		return map[string]manifest.Upstream{"h1": h1, "h2": h2}
	}
	// A generation is closed when its last exchange has ended, as the engine does.
	type generation struct {
		*Set
		users sync.WaitGroup
	}
	var mu sync.Mutex
	var current *generation
	swap := func() {
		set, err := r.Build(make())
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		old := current
		current = &generation{Set: set}
		mu.Unlock()
		if old != nil {
			old.users.Wait()
			old.Close()
		}
	}
	pin := func() *generation {
		mu.Lock()
		defer mu.Unlock()
		current.users.Add(1)
		return current
	}
	swap()
	stop := new(atomic.Bool)
	var group sync.WaitGroup
	done := new(atomic.Int64)
	for i := range 8 {
		group.Go(func() {
			for n := 0; !stop.Load(); n++ {
				g := pin()
				oneOf(t, g.Set, []string{"h1", "h2"}[(n+i)%2], n)
				g.users.Done()
				done.Add(1)
			}
		})
	}
	group.Go(func() {
		for !stop.Load() {
			r.Status()
		}
	})
	for range 40 {
		swap()
	}
	eventually(t, "exchanges", func() bool { return done.Load() > 500 })
	stop.Store(true)
	group.Wait()
	for _, s := range r.Status() {
		if s.InFlight != 0 || s.Failed != 0 {
			t.Errorf("at the end: %+v", s)
		}
	}
	current.Close()
	if err := r.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// oneOf makes one exchange of several kinds; none may fail.
func oneOf(t *testing.T, set *Set, name string, n int) {
	x := ask("POST", "/", strings.Repeat("x", rand.N(20000)+1))
	if n%3 == 0 {
		x = ask("GET", "/", "")
	}
	want := x.Request.Length + 3
	leaves := n%7 == 0
	if leaves {
		ctx, cancel := context.WithCancel(context.Background())
		defer time.AfterFunc(rand.N(time.Millisecond), cancel).Stop()
		defer cancel()
		x.SetContext(ctx)
	}
	if f := set.Forward(x, name); f != nil {
		if !leaves {
			t.Errorf("got %v", f)
		}
		return
	}
	if n%5 == 0 {
		x.Response.Body.Close() // unread
		return
	}
	got, err := io.Copy(io.Discard, x.Response.Body)
	x.Response.Body.Close()
	if !leaves && (got != want || err != nil) {
		t.Errorf("got %d bytes, %v, want %d", got, err, want)
	}
}

// Nothing runs on after Close, whatever had been going on.
func TestGoroutinesEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		hanging := raw(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
		r := NewRegistry(Options{Resolver: &names{addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}})
		up := settings(hanging, deadTCP(t))
		up.Health = quickHealth("http")
		up.TryTimeout = manifest.Duration(20 * time.Millisecond)
		found := settings()
		found.Discovery = &manifest.Discovery{DNS: "http://a.example:1", Interval: manifest.Duration(time.Millisecond)}
		set, err := r.Build(map[string]manifest.Upstream{"up": up, "found": found})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			set.Forward(ask("GET", "/", ""), "up")
			set.Forward(ask("GET", "/", ""), "found")
		}
		set.Close()
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	// The raw endpoint's own goroutines: one that accepts.
	eventually(t, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+1 })
}

func TestMetricsAreTold(t *testing.T) {
	url, _ := breaking(t, 1)
	events := &recordedMetrics{}
	metrics := telemetry.NewMetrics("test")
	r := NewRegistry(Options{Metrics: events, RED: metrics.Upstream})
	defer r.Close(context.Background())
	set := build(t, r, settings(url))
	get(t, set, "/")
	set.Forward(ask("GET", "/", ""), "up") // body left open
	if events.retried.Load() != 1 || events.waited.Load() == 0 {
		t.Errorf("got %d retries and %d waits", events.retried.Load(), events.waited.Load())
	}
	page := httptest.NewRecorder()
	metrics.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	w := page.Body.String()
	for _, line := range []string{
		`ergo_upstream_requests_total{outcome="2xx",upstream="up"} `,
		`ergo_upstream_requests_in_flight{upstream="up"} `,
	} {
		if !strings.Contains(w, line) {
			t.Errorf("no %s in\n%s", line, w)
		}
	}
}
