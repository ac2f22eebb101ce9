package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestHostsShareResponses has two hosts store in one Redis: what one has fetched the
// other one serves, what one purges is gone at both, and while Redis is gone each goes
// on by itself and says so.
func TestHostsShareResponses(t *testing.T) {
	redis := hosttest.StartRedis(t)
	var fetched atomic.Int64
	origin := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "response %d", fetched.Add(1))
	}))
	manifest := fmt.Sprintf(`listener = [{ name = "plain", address = "127.0.0.1:0" }]
cache.shared = true
state.redis = { address = %q, timeout = "2s" }
upstream.origin.endpoints = [%q]
service.upstream = "origin"
[policy.cache]
source = %q
grants = ["ergo_cache", "ergo_clock"]
[[edge.stage]]
name = "cache"
use = [{ policy = "cache", config = { purge = { method = "PURGE", networks = ["127.0.0.1"] } } }]
`, redis.Address, origin.URL, shipped(t, "cache"))
	one, two := start(t, manifest), start(t, manifest)
	says := func(h *host, line string) {
		t.Helper()
		hosttest.Eventually(t, func() bool { return strings.Contains(h.get(t, "/metrics", nil), "\n"+line+"\n") }, "the metrics say: "+line)
	}
	gets := func(h *host, want string) {
		t.Helper()
		if _, body := h.client(t, h1).get(t, "/a"); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	says(one, "ergo_cache_shared_down 0")
	says(two, "ergo_cache_shared_down 0")
	gets(one, "response 1")
	says(one, "ergo_cache_shared_sent_total 1")
	gets(two, "response 1")
	says(two, "ergo_cache_shared_hits_total 1")

	purge := func() *http.Response {
		c := two.client(t, h1)
		return c.do(t, c.request(t, "PURGE", "/a", nil))
	}
	if resp := purge(); resp.StatusCode != 200 {
		t.Errorf("got %d for a purge, want 200", resp.StatusCode)
	}
	says(one, "ergo_cache_purged_total 1")
	gets(one, "response 2")
	says(one, "ergo_cache_shared_sent_total 2")
	gets(two, "response 2")

	redis.Kill()
	says(one, "ergo_cache_shared_down 1")
	says(two, "ergo_cache_shared_down 1")
	resp := purge()
	if text := all(t, resp.Body); resp.StatusCode != 503 || !strings.HasPrefix(text, "purged here; other hosts") {
		t.Errorf("got %d %q for a purge that nobody hears of", resp.StatusCode, text)
	}
	says(two, "ergo_cache_shared_untold_purges 1")
	gets(two, "response 3")
	gets(one, "response 2")
}
