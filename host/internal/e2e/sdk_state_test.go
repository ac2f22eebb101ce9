package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// askSeen asks through a guest and returns what the origin got.
func (h *host) askSeen(t testing.TB, w wire, name string, r guestRequest) hosttest.Seen {
	t.Helper()
	resp, body := h.askGuest(t, w, name, r)
	if resp.StatusCode != 200 {
		t.Fatalf("%s: got status %d and %q", name, resp.StatusCode, body)
	}
	return hosttest.Decode(t, strings.NewReader(body))
}

// TestCrowdOnFewInstances has 64 clients numbered by shared data, which two
// instances change by comparison: nobody's number is lost or given twice.
func TestCrowdOnFewInstances(t *testing.T) {
	const clients, rounds = 64, 10
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, usesOf("count", "count", "limits.instances = 2")))
	for _, sdk := range sdks() {
		numbers := make(chan int, clients*rounds)
		var crowd sync.WaitGroup
		for i := range clients {
			crowd.Go(func() {
				for range rounds {
					seen := h.askSeen(t, []wire{h1, h2c}[i%2], "count-"+sdk, guestRequest{})
					n, _ := strconv.Atoi(seen.Header.Get("X-Count"))
					numbers <- n
				}
			})
		}
		crowd.Wait()
		close(numbers)
		given := map[int]bool{}
		for n := range numbers {
			given[n] = true
		}
		for n := 1; n <= clients*rounds; n++ {
			if !given[n] {
				t.Fatalf("%s: nobody is number %d of %d", sdk, n, clients*rounds)
			}
		}
	}
}

// TestPausedCrowd has 64 exchanges wait for a tick in one instance, which serves
// others meanwhile.
func TestPausedCrowd(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, usesOf("tick", "tick 500 request", "limits.instances = 1")))
	for _, sdk := range sdks() {
		var crowd sync.WaitGroup
		for i := range 64 {
			crowd.Go(func() {
				if seen := h.askSeen(t, []wire{h1, h2c}[i%2], "tick-"+sdk, guestRequest{}); seen.Header.Get("X-Ticked") != "yes" {
					t.Errorf("%s: an exchange went on before the tick", sdk)
				}
			})
		}
		crowd.Wait()
	}
}

// TestQueues have one use of a policy send what another one gets.
func TestQueues(t *testing.T) {
	o := startOrigin(t)
	uses := usesOf("consumer", "queue consume jobs", "")
	for _, sdk := range sdks() {
		policy := "consumer-" + sdk
		uses = append(uses,
			use{name: "producer-" + sdk, config: "queue produce jobs " + policy, policy: policy},
			use{name: "lost-" + sdk, config: "queue produce nothing", policy: policy},
			use{name: "stranger-" + sdk, config: "queue produce jobs other", policy: policy})
	}
	h := start(t, guestManifest(t, o, uses))
	for _, sdk := range sdks() {
		for _, name := range []string{"lost-", "stranger-"} {
			if seen := h.askSeen(t, h1, name+sdk, guestRequest{}); seen.Header.Get("X-Queued") != "not found" {
				t.Errorf("%s%s: got %q, want no queue to be found", name, sdk, seen.Header.Get("X-Queued"))
			}
		}
		for i := range 3 {
			job := http.Header{"X-Job": {fmt.Sprint("job", i)}}
			if seen := h.askSeen(t, h1, "producer-"+sdk, guestRequest{header: job}); seen.Header.Get("X-Queued") != "yes" {
				t.Fatalf("%s: got %v", sdk, seen.Header)
			}
		}
		hosttest.Eventually(t, func() bool {
			seen := h.askSeen(t, h1, "consumer-"+sdk, guestRequest{})
			return seen.Header.Get("X-Jobs") == "job0;job1;job2;"
		}, sdk+": the jobs arrive in order")
	}
}

// TestGuestMetrics are those that guests define, read back by them and shown where
// the host's are.
func TestGuestMetrics(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, usesOf("metrics", "metrics", "")))
	for _, sdk := range sdks() {
		for n := 1; n <= 2; n++ {
			seen := h.askSeen(t, h1, "metrics-"+sdk, guestRequest{})
			if got, want := seen.Header.Get("X-Metrics"), fmt.Sprintf("%d %d", n, n); got != want && sdk != "assemblyscript" {
				t.Errorf("%s: got %q, want %q", sdk, got, want)
			}
		}
		text := h.get(t, "/metrics", nil)
		policy := `policy="metrics-` + sdk + `"`
		for _, want := range []string{"ergo_guest_counter_seen_total{", "ergo_guest_gauge_level{", "ergo_guest_histogram_sizes_count{"} {
			if !hasLine(text, want, policy, "} 2") {
				t.Errorf("%s: %s is not 2:\n%s", sdk, want, linesWith(text, "ergo_guest_", policy))
			}
		}
	}
}

// TestServices have a root context only: exchanges pass them by, whether nothing
// else is in the module, or the manifest says so.
func TestServices(t *testing.T) {
	o := startOrigin(t)
	uses := append(usesOf("service", "tick 1 answer", "proxy_wasm.service = true"), use{name: "service", module: "wat/service"})
	h := start(t, guestManifest(t, o, uses))
	for _, u := range uses {
		h.askSeen(t, h1, u.name, guestRequest{})
	}
	hosttest.Eventually(t, func() bool {
		line := linesWith(h.get(t, "/metrics", nil), "ergo_guest_counter_ticks_total{", `policy="service"`)
		_, count, _ := strings.Cut(line, "} ")
		ticks, _ := strconv.ParseFloat(strings.TrimSpace(count), 64)
		return ticks >= 3
	}, "the service ticks")
}

// TestSwapsKeepWhatGuestsShare while clients ask: shared data and counters go on
// where they were, and no exchange is lost.
func TestSwapsKeepWhatGuestsShare(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, append(usesOf("count", "count", ""), usesOf("metrics", "metrics", "", "rust")...)))
	text, err := os.ReadFile(h.manifest)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, u := range usesOf("count", "", "") {
		clients.Go(func() {
			for answers := 1; ; answers++ {
				select {
				case <-stop:
					return
				default:
				}
				if seen := h.askSeen(t, h1, u.name, guestRequest{}); seen.Header.Get("X-Count") != fmt.Sprint(answers) {
					t.Errorf("%s: got number %q, want %d", u.name, seen.Header.Get("X-Count"), answers)
					return
				}
			}
		})
	}
	const swaps = 10
	for i := range swaps {
		h.askSeen(t, h1, "metrics-rust", guestRequest{})
		// A use with another configuration is another policy, with the same name.
		next := strings.ReplaceAll(string(text), `value = "metrics"`, fmt.Sprintf(`value = "metrics %d"`, i))
		next = strings.ReplaceAll(next, `value = "count"`, fmt.Sprintf(`value = "count %d"`, i))
		h.swap(t, next)
	}
	close(stop)
	clients.Wait()
	seen := h.askSeen(t, h1, "metrics-rust", guestRequest{})
	if got, want := seen.Header.Get("X-Metrics"), fmt.Sprintf("%d %d", swaps+1, swaps+1); got != want {
		t.Errorf("metrics after the swaps: got %q, want %q", got, want)
	}
	var status engine.Status
	if h.get(t, "/v1/status", &status); status.Generation.ID != swaps+1 {
		t.Errorf("generation %d, want %d", status.Generation.ID, swaps+1)
	}
}

// swap has the admin API swap to a manifest.
func (h *host) swap(t testing.TB, manifest string) {
	t.Helper()
	resp, err := h.admin.Post("http://admin/v1/swap", "application/toml", strings.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer := all(t, resp.Body); resp.StatusCode != 200 {
		t.Fatalf("swap: status %d: %s", resp.StatusCode, answer)
	}
}
