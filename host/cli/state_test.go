package cli

import (
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// countingFolder returns a folder with a manifest of a policy that counts, and
// what else it says.
func countingFolder(t *testing.T, version, more string) (manifest string) {
	t.Helper()
	module, err := os.ReadFile("testdata/count.wasm")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "count.wasm"), string(module))
	manifest = filepath.Join(dir, "proxy.toml")
	writeFile(t, manifest, countingText(version, more))
	return manifest
}

func countingText(version, more string) string {
	return `version = 1
[host]
admin = ""
watch = false
[[listener]]
address = "127.0.0.1:0"
[upstream.origin]
endpoints = ["ergo:echo"]
[service]
upstream = "origin"
[[edge.stage]]
name = "count"
  [[edge.stage.use]]
  policy = "count"
  config.version = "` + version + `"
[policy.count]
source = "count.wasm"
grants = ["ergo_kv"]
` + more
}

// counter is a host that counts.
type counter struct {
	*host
	url string
}

func startCounter(t *testing.T, manifest string) *counter {
	t.Helper()
	h := startForTest(t, manifest, Streams{io.Discard, io.Discard})
	for _, address := range h.server.Addrs() {
		return &counter{h, "http://" + address.String()}
	}
	t.Fatal("the host listens nowhere")
	return nil
}

// count returns the number that the host answers with, or 0 and its status.
func (c *counter) count(t *testing.T) (n uint64, status int) {
	t.Helper()
	resp, err := http.Get(c.url)
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	if resp.StatusCode != 200 || len(body) != 8 {
		return 0, resp.StatusCode
	}
	return binary.LittleEndian.Uint64(body), 200
}

func (c *counter) want(t *testing.T, want uint64, when string) {
	t.Helper()
	if got, status := c.count(t); got != want {
		t.Errorf("%s: got %d with status %d, want %d", when, got, status, want)
	}
}

// Counters survive a swap, a rollback, and a version of the policy that is only
// tried.
func TestStateSurvivesSwaps(t *testing.T) {
	manifest := countingFolder(t, "1", "")
	c := startCounter(t, manifest)
	c.want(t, 1, "at first")
	swap := func(text string) error {
		save(t, manifest, text)
		_, err := c.control.Swap(t.Context(), "test", engine.Source{})
		return err
	}
	if err := swap(countingText("2", "")); err != nil {
		t.Fatal(err)
	}
	c.want(t, 2, "after a swap")
	if err := swap(countingText("3", "[policy.other]\nsource = \"nowhere\"\n[[edge.stage]]\nname = \"x\"\nuse = [{ policy = \"other\" }]")); err == nil {
		t.Error("a policy without a source was taken")
	}
	c.want(t, 3, "after a swap that was refused")
	if _, err := c.control.Rollback(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.want(t, 4, "after a rollback")

	stats := c.state.Stats()
	row := snapshot(c.engine.Status(), stats, cacheStats{}).State.Stores
	want := telemetry.StoreState{Policy: "count", Store: "memory", Keys: 1, Bytes: stats.Policies[0].Bytes}
	if !slices.Contains(row, want) || want.Bytes == 0 {
		t.Errorf("got %+v, want %+v among them", row, want)
	}
}

// Two hosts that share one Redis count together, and exactly. When it goes, the
// failure rule decides, no instance is lost, and when it is back they go on.
func TestHostsCountTogether(t *testing.T) {
	const each, workers = 50, 4
	redis := hosttest.StartRedis(t)
	more := `kv = { store = "shared" }
[state]
redis = { address = "` + redis.Address + `", timeout = "2s" }
`
	hosts := []*counter{startCounter(t, countingFolder(t, "1", more)), startCounter(t, countingFolder(t, "2", more))}
	var (
		work sync.WaitGroup
		mu   sync.Mutex
		seen []uint64
	)
	for n := range workers * len(hosts) {
		work.Go(func() {
			for range each {
				got, status := hosts[n%len(hosts)].count(t)
				if status != 200 {
					t.Errorf("status %d", status)
				}
				mu.Lock()
				seen = append(seen, got)
				mu.Unlock()
			}
		})
	}
	work.Wait()
	slices.Sort(seen)
	for i, got := range seen {
		if got != uint64(i)+1 {
			t.Fatalf("the %d. number is %d: an exchange was not counted, or twice", i+1, got)
		}
	}

	redis.Kill()
	for _, c := range hosts {
		for range 20 {
			if _, status := c.count(t); status != 503 {
				t.Errorf("without Redis: status %d, want 503", status)
			}
		}
		for _, p := range snapshot(c.engine.Status(), c.state.Stats(), cacheStats{}).Policies {
			if p.Discarded != 0 || p.Quarantined {
				t.Errorf("the outage is taken for the policy's fault: %+v", p)
			}
		}
	}
	redis.Start()
	for _, c := range hosts {
		hosttest.Eventually(t, func() bool { n, _ := c.count(t); return n > 0 }, "counts again")
	}
}

// A manifest that changes where state is kept is told that the process keeps what
// it was started with.
func TestStateNeedsARestart(t *testing.T) {
	manifest := countingFolder(t, "1", "")
	c := startCounter(t, manifest)
	save(t, manifest, countingText("1", "[state]\nmemory = \"1MiB\"\n"))
	change, err := c.control.Swap(t.Context(), "test", engine.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(change.NeedsRestart, " "); got != "state" {
		t.Errorf("needs a restart: %q, want \"state\"", got)
	}
}
