package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// hostileGuests are modules of host/wasm/testdata/hostile, by what an exchange is
// told that meets them under the rule that denies, and how the host calls it.
var hostileGuests = []struct {
	name   string
	status int
	kind   string
}{
	{"loop", 504, "timeout"},
	{"loop-response", 504, "timeout"},
	{"recursion", 500, "trap"},
	{"recursion-mutual", 500, "trap"},
	{"recursion-indirect", 500, "trap"},
	{"recursion-tree", 504, "timeout"},
	{"memory-bomb", 504, "timeout"},
	{"memory-greed", 500, "trap"},
	{"table-bomb", 504, "timeout"},
	{"fill-storm", 504, "timeout"},
	{"copy-storm", 504, "timeout"},
	{"init-storm", 504, "timeout"},
	{"host-storm", 504, "timeout"},
	{"log-flood", 504, "timeout"},
	{"print-flood", 504, "timeout"},
	{"fields-bomb", 500, "trap"},
	{"value-bomb", 500, "trap"},
	{"body-endless", 500, "trap"},
	{"response-endless", 500, "trap"},
	{"exit", 500, "trap"},
	{"trap", 500, "trap"},
	{"sleep", 504, "timeout"},
	{"random-storm", 504, "timeout"},

	{"proxy-loop", 504, "timeout"},
	{"proxy-recursion", 500, "trap"},
	{"proxy-trap", 500, "trap"},
	{"proxy-malloc-trap", 500, "trap"},
	{"proxy-malloc-loop", 504, "timeout"},
	{"proxy-malloc-recursion", 500, "trap"},
	{"proxy-malloc-again", 500, "trap"},
	{"proxy-malloc-outside", 500, "trap"},
	{"proxy-fields-bomb", 504, "timeout"},
	{"proxy-shared-bomb", 504, "timeout"},
	{"proxy-queue-bomb", 504, "timeout"},
	{"proxy-metric-bomb", 504, "timeout"},
	{"proxy-log-flood", 504, "timeout"},
}

// hostile is a manifest with one sound policy and what is added to it.
const hostile = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"
[upstream.origin]
endpoints = [%q]
[policy.headers]
source = %q
limits.time = "10s"
[service]
upstream = "origin"
[[service.stage]]
name = "sound"
when.path = "/sound"
use = [{ policy = "headers", config.response.set = { x-sound = "1" } }]
`

// hostileModule is a module's path; that of proxy-wasm are named for it.
func hostileModule(t testing.TB, name string) string {
	t.Helper()
	abi := "http-wasm"
	if strings.HasPrefix(name, "proxy-") {
		abi = "proxy-wasm"
	}
	path, err := filepath.Abs(filepath.Join("../../wasm/testdata/hostile", abi, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostileGuests has every guest do its worst at the same time, beside a sound
// policy under traffic. Each follows its failure rule, for a reason that is counted
// and named, and is quarantined; nobody else notices.
func TestHostileGuests(t *testing.T) {
	o := startOrigin(t)
	manifest := new(strings.Builder)
	fmt.Fprintf(manifest, hostile, o.URL, shipped(t, "headers"))
	for _, g := range hostileGuests {
		limit := "100ms"
		if g.kind != "timeout" {
			limit = "10s" // a busy machine is not what is to end it
		}
		fmt.Fprintf(manifest, `
[policy.%[1]s]
source = %[2]q
limits = { time = %[3]q, memory = "4MiB", instances = 4 }
[[service.stage]]
name = %[1]q
when.path = "/deny/%[1]s"
use = [{ policy = %[1]q }]
[[service.stage]]
name = "skip-%[1]s"
when.path = "/skip/%[1]s"
use = [{ policy = %[1]q, on_error = "skip", config.rule = "skip" }]
`, g.name, hostileModule(t, g.name), limit)
	}
	h := start(t, manifest.String())
	before, goroutines := heap(), runtime.NumGoroutine()

	sound := startSound(t, h)
	var guests sync.WaitGroup
	for _, g := range hostileGuests {
		guests.Go(func() {
			wantRule(t, h, "/deny/"+g.name, g.status)
			wantRule(t, h, "/skip/"+g.name, 200)
		})
	}
	most := watchHeap(&guests)
	if n := sound.stop(t); n < 10 {
		t.Errorf("only %d exchanges of the sound policy", n)
	}

	if spare := uint64(320 << 20); most > before+spare {
		t.Errorf("heap: %d MiB before, %d MiB at most", before>>20, most>>20)
	}
	metrics := h.get(t, "/metrics", nil)
	for _, g := range hostileGuests {
		health := h.policy(t, g.name).Health
		if !health.Quarantined || health.Kind != g.kind || health.Trips == 0 {
			t.Errorf("%s: %+v, want it to be in quarantine for a %s", g.name, health, g.kind)
		}
		for _, stage := range []string{g.name, "skip-" + g.name} {
			outcome := map[string]string{"timeout": "timed_out", "trap": "trapped"}[g.kind]
			calls := linesWith(metrics, "ergo_policy_calls_total{", `stage="`+stage+`"`, `outcome="`+outcome+`"`)
			if !strings.HasSuffix(calls, " 5\n") && !strings.HasSuffix(calls, " 6\n") { // the last may be a probe
				t.Errorf("%s: want 5 or 6 calls that %s:\n%s", stage, outcome, calls)
			}
		}
	}
	const kept = 32 // connections to the origin, at both ends
	hosttest.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+kept }, "goroutines come back")
	const shared = 2 * 16 << 20 // what two of them have put where their instances share it
	if after := heap(); after > before+shared+64<<20 {
		t.Errorf("heap: %d MiB before, %d MiB after", before>>20, after>>20)
	}
}

// wantRule sends exchanges to a hostile guest until it is in quarantine, and one
// more.
func wantRule(t *testing.T, h *host, path string, want int) {
	c := h.client(t, h1)
	defer c.transport.CloseIdleConnections()
	for range 6 {
		resp, err := c.transport.RoundTrip(c.request(t, "POST", path, strings.NewReader("body")))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == 503 && want != 200 && resp.Header.Get("Retry-After") != "" {
			continue // it is in quarantine
		}
		if resp.StatusCode != want {
			t.Errorf("%s: got status %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// sound is traffic through the sound policy.
type sound struct {
	clients sync.WaitGroup
	over    chan struct{}
	count   atomic.Int64
}

func startSound(t *testing.T, h *host) *sound {
	s := &sound{over: make(chan struct{})}
	for range 2 {
		c := h.client(t, h1)
		s.clients.Go(func() {
			defer c.transport.CloseIdleConnections()
			for {
				select {
				case <-s.over:
					return
				default:
					s.ask(t, c)
				}
			}
		})
	}
	return s
}

func (s *sound) ask(t *testing.T, c *client) {
	resp, err := c.transport.RoundTrip(c.request(t, "GET", "/sound", nil))
	if err != nil {
		t.Errorf("the sound policy: %v", err)
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Sound") != "1" {
		t.Errorf("the sound policy: got status %d, header %v, %v", resp.StatusCode, resp.Header, err)
	}
	s.count.Add(1)
}

// stop ends the traffic and returns how many exchanges there were.
func (s *sound) stop(t *testing.T) int64 {
	t.Helper()
	close(s.over)
	s.clients.Wait()
	return s.count.Load()
}

// watchHeap returns the most that the heap was until all are done.
func watchHeap(group *sync.WaitGroup) (most uint64) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	for {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapAlloc)
		select {
		case <-done:
			return most
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestMessagesAreNotSplit: a guest can't write a message of its own into one that
// passes, nor say how its body is framed.
func TestMessagesAreNotSplit(t *testing.T) {
	const ways = 9
	o := startOrigin(t)
	manifest := new(strings.Builder)
	fmt.Fprintf(manifest, hostile, o.URL, shipped(t, "headers"))
	fmt.Fprintf(manifest, "[policy.splitting]\nsource = %q\nlimits.time = \"10s\"\n", hostileModule(t, "splitting"))
	for way := range ways {
		fmt.Fprintf(manifest, "[[service.stage]]\nname = \"%[1]d\"\nwhen.path = \"/%[1]d\"\nuse = [{ policy = \"splitting\", config.way = %[1]d }]\n", way)
	}
	h := start(t, manifest.String())
	var seen atomic.Int64
	for way := range ways {
		path := fmt.Sprint("/", way)
		o.mu.Lock()
		o.handlers[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			body, err := io.ReadAll(r.Body)
			if r.Header.Get("X-Split") != "" || string(body) != "body" || err != nil {
				t.Errorf("%s: the origin got %v and %q, %v", path, r.Header, body, err)
			}
		})
		o.mu.Unlock()
		c := h.client(t, h1)
		resp := c.do(t, c.request(t, "POST", path, strings.NewReader("body")))
		if got := all(t, resp.Body); resp.Header.Get("X-Split") != "" || resp.StatusCode != 500 && way < ways-1 {
			t.Errorf("way %d: got status %d, header %v and %q, want 500", way, resp.StatusCode, resp.Header, got)
		}
	}
	t.Logf("the origin saw %d", seen.Load())
}

// TestGuestsThatAreRefused do not start; what runs goes on.
func TestGuestsThatAreRefused(t *testing.T) {
	o := startOrigin(t)
	h := start(t, fmt.Sprintf(hostile, o.URL, shipped(t, "headers")))
	manifest, err := os.ReadFile(h.manifest)
	if err != nil {
		t.Fatal(err)
	}
	var before engine.Status
	h.get(t, "/v1/status", &before)
	sound := startSound(t, h)
	for name, says := range map[string]string{
		"refused-start-loop":      "time is up",
		"refused-start-recursion": "nested too deep",
		"refused-start-trap":      "unreachable",
		"refused-meter-import":    "ergo:meter",
		"refused-meter-export":    "ergo:ticks",
		"refused-memory":          "memory",
		"refused-table":           "elements",
	} {
		text := string(manifest) + fmt.Sprintf("[policy.bad]\nsource = %q\n[[service.stage]]\nname = \"bad\"\nuse = [{ policy = \"bad\" }]\n", hostileModule(t, name))
		if status, answer := h.post(t, "/v1/swap", "application/toml", text); status == 200 || !strings.Contains(answer, says) {
			t.Errorf("%s: got status %d: %s\nwant it to say %q", name, status, answer, says)
		}
	}
	if n := sound.stop(t); n < 10 {
		t.Errorf("only %d exchanges of the sound policy", n)
	}
	var after engine.Status
	h.get(t, "/v1/status", &after)
	if after.Generation.ID != before.Generation.ID {
		t.Errorf("generation %d runs instead of %d", after.Generation.ID, before.Generation.ID)
	}
}
