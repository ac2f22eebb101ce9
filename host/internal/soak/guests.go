package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// guestPlan is a soak of guests that do their worst, of both ABIs, beside sound
// ones: their traps, timeouts, quarantines and new instances, shared and one for
// each exchange, while generations are swapped.
type guestPlan struct {
	policies string // folder of the shipped policies
	hostile  string // folder of the guests, by ABI
	sound    string // module of a sound guest of proxy-wasm
	length   time.Duration
	memory   string
	collect  func()
}

// hostileGuests are modules by what an exchange may be told that meets them.
var hostileGuests = []struct {
	abi, name string
	status    int
}{
	{"http-wasm", "loop", 504},
	{"http-wasm", "recursion", 500},
	{"http-wasm", "recursion-tree", 504},
	{"http-wasm", "memory-greed", 500},
	{"http-wasm", "memory-bomb", 504},
	{"http-wasm", "fill-storm", 504},
	{"http-wasm", "host-storm", 504},
	{"http-wasm", "exit", 500},
	{"http-wasm", "trap", 500},
	{"proxy-wasm", "proxy-loop", 504},
	{"proxy-wasm", "proxy-recursion", 500},
	{"proxy-wasm", "proxy-trap", 500},
	{"proxy-wasm", "proxy-malloc-loop", 504},
	{"proxy-wasm", "proxy-shared-bomb", 504},
}

// guestReport is what a soak of guests that went well has seen.
type guestReport struct {
	mu            sync.Mutex
	answers       map[string]int // by path and status
	swaps         int
	before, after gauges
	took          time.Duration
}

func (r *guestReport) count(path string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[fmt.Sprintf("%-26s %d", path, status)]++
}

func (r *guestReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d swaps in %v, no answer that was not expected\n", r.swaps, r.took.Round(time.Second))
	var lines []string
	for what, n := range r.answers {
		lines = append(lines, fmt.Sprintf("  %s %9d\n", what, n))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	fmt.Fprintf(&b, "  goroutines %8.0f -> %.0f\n  memory MiB %8.1f -> %.1f\n  files      %8.0f -> %.0f",
		r.before.goroutines, r.after.goroutines, r.before.memoryMiB, r.after.memoryMiB, r.before.files, r.after.files)
	return b.String()
}

// run carries out the plan in folder, which must be empty.
func (p guestPlan) run(ctx context.Context, folder string, host start) (*guestReport, error) {
	o, err := startOrigins()
	if err != nil {
		return nil, err
	}
	defer o.stop()
	g := &guests{guestPlan: p, folder: folder, origin: o.urls[0], manifest: filepath.Join(folder, "proxy.toml"), report: &guestReport{answers: map[string]int{}}}
	if g.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := g.write(0); err != nil {
		return nil, err
	}
	stop, log, err := host(ctx, g.manifest)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(g.soak(ctx), stop()); err != nil {
		return nil, fmt.Errorf("%w\nthe host's last words:\n%s", err, tail(log(), 4000))
	}
	return g.report, nil
}

// guests is such a soak under way.
type guests struct {
	guestPlan
	folder, manifest, origin, address string
	report                            *guestReport
}

// soak does a tenth of the work first, which fills pools and caches: what is
// measured before the rest.
func (g *guests) soak(ctx context.Context) error {
	admin := newAdmin(filepath.Join(g.folder, "admin.sock"), &plan{memory: g.memory, collect: g.collect})
	if err := admin.waitReady(ctx); err != nil {
		return err
	}
	started := time.Now()
	err := g.round(ctx, admin, max(g.length/10, 5*time.Second))
	if err == nil {
		g.report.before, err = admin.settle(ctx)
	}
	if err == nil {
		err = g.round(ctx, admin, g.length)
	}
	if err == nil {
		g.report.after, err = admin.settleTo(ctx, g.report.before)
	}
	g.report.took = time.Since(started)
	return err
}

// round swaps under load for so long.
func (g *guests) round(ctx context.Context, admin *admin, length time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loading, quit := context.WithTimeout(ctx, length)
	defer quit()
	var clients sync.WaitGroup
	for _, path := range g.paths() {
		clients.Go(func() {
			if err := g.drive(ctx, loading, path); err != nil {
				cancel(fmt.Errorf("%s: %w", path, err))
			}
		})
	}
	for loading.Err() == nil {
		if err := g.swap(ctx, admin); err != nil {
			cancel(err)
		}
		pause(loading, 250*time.Millisecond)
	}
	clients.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (g *guests) swap(ctx context.Context, admin *admin) error {
	g.report.swaps++
	if err := g.write(g.report.swaps); err != nil {
		return err
	}
	if err := admin.swap(ctx, g.manifest); err != nil && ctx.Err() == nil {
		return fmt.Errorf("swap %d: %w", g.report.swaps, err)
	}
	return nil
}

// paths are what clients ask for, the sound ones several times.
func (g *guests) paths() []string {
	paths := []string{"/sound/http", "/sound/http", "/sound/proxy", "/sound/proxy", "/sound/both", "/sound/both"}
	for _, h := range hostileGuests {
		paths = append(paths, "/deny/"+h.name, "/skip/"+h.name)
	}
	return paths
}

// drive asks for a path again and again. Whatever is not expected there is its
// error.
func (g *guests) drive(ctx, loading context.Context, path string) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: time.Minute}
	for loading.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+g.address+path, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		g.report.count(path, resp.StatusCode)
		if err := expected(path, resp, body); err != nil {
			return err
		}
		pause(loading, 10*time.Millisecond)
	}
	return nil
}

func expected(path string, resp *http.Response, body []byte) error {
	whole := resp.StatusCode == 200 && string(body) == payload
	marked := func(name string) bool { return resp.Header.Get(name) == "1" }
	ok := whole
	switch kind, name, _ := strings.Cut(path[1:], "/"); {
	case name == "http":
		ok = whole && marked("x-http")
	case name == "proxy":
		ok = whole && marked("x-proxy")
	case name == "both":
		ok = whole && marked("x-http") && marked("x-proxy")
	case kind == "deny":
		ok = resp.StatusCode == statusOf(name) || resp.StatusCode == 503 && resp.Header.Get("retry-after") != ""
	}
	if !ok {
		return fmt.Errorf("status %d, header %v, %d bytes", resp.StatusCode, resp.Header, len(body))
	}
	return nil
}

func statusOf(name string) int {
	for _, h := range hostileGuests {
		if h.name == name {
			return h.status
		}
	}
	return 0
}

// write makes variant n the manifest: every other one gives each exchange an
// instance of its own, and configurations differ, so that policies are made anew.
func (g *guests) write(n int) error {
	isolation := []string{"shared", "exchange"}[n%2]
	var b strings.Builder
	fmt.Fprintf(&b, guestHead, filepath.Join(g.folder, "data"), g.address, g.origin,
		absolute(g.policies, "headers"), absolute(g.sound), isolation)
	for _, h := range hostileGuests {
		limit := "10s"
		if h.status == 504 {
			limit = "50ms"
		}
		fmt.Fprintf(&b, guestStages, h.name, absolute(g.hostile, h.abi, h.name+".wasm"), limit, isolation, n/2)
	}
	temporary := g.manifest + ".new"
	if err := os.WriteFile(temporary, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, g.manifest)
}

func absolute(parts ...string) string {
	path, err := filepath.Abs(filepath.Join(parts...))
	if err != nil {
		return filepath.Join(parts...)
	}
	return path
}

const guestHead = `version = 1
[host]
admin = "unix:admin.sock"
data = %q
watch = false
keep_generations = 1 # of which each holds the images of its instances open
log = { access = false, level = "error" }
[[listener]]
name = "plain"
address = %q
[upstream.origin]
endpoints = [%q]
[policy.headers]
source = %q
isolation = %[6]q
limits = { time = "10s", wait = "30s" } # a busy machine is no reason to fail
[policy.proxy]
source = %[5]q
isolation = %[6]q
limits = { time = "10s", wait = "30s" }
[service]
upstream = "origin"
[[service.stage]]
name = "http"
when.path = ["/sound/http", "/sound/both"]
use = [{ policy = "headers", config.response.set = { x-http = "1" } }]
[[service.stage]]
name = "proxy"
when.path = ["/sound/proxy", "/sound/both"]
use = [{ policy = "proxy" }]
`

const guestStages = `
[policy.%[1]s]
source = %[2]q
isolation = %[4]q
limits = { time = %[3]q, memory = "4MiB", instances = 8, wait = "30s" }
[[service.stage]]
name = %[1]q
when.path = "/deny/%[1]s"
use = [{ policy = %[1]q, config.n = %[5]d }]
[[service.stage]]
name = "skip-%[1]s"
when.path = "/skip/%[1]s"
use = [{ policy = %[1]q, config.n = "%[5]d", on_error = "skip" }]
`
