package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestPartsAreCombined has a client take a file in parts, of which large ones are on
// disk and small ones in memory, from an origin that knows ranges. What the cache has
// of it is not fetched again, whoever wants it in whichever ranges.
func TestPartsAreCombined(t *testing.T) {
	const size, chunk = 300_000, 90_000
	file := make([]byte, size)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range file {
		file[i] = byte(random.Uint32())
	}
	var fetched atomic.Int64
	origin := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Cache-Control", "max-age=60")
		http.ServeContent(w, r, "file.bin", time.Time{}, bytes.NewReader(file))
	}))
	h := start(t, fmt.Sprintf(`listener = [{ name = "plain", address = "127.0.0.1:0" }]
cache = { memory = "1MiB", disk = %q }
upstream.origin.endpoints = [%q]
service.upstream = "origin"
[policy.cache]
source = %q
grants = ["ergo_cache", "ergo_clock"]
[[edge.stage]]
name = "cache"
use = [{ policy = "cache" }]
`, filepath.Join(t.TempDir(), "responses"), origin.URL, shipped(t, "cache")))
	for _, w := range []wire{h1, h2c} {
		target := "/" + w.name
		c := h.client(t, w)
		for first := 0; first < size; first += chunk {
			c.wantRange(t, target, file, first, min(first+chunk, size)-1)
		}
		before := fetched.Load()
		c.wantRange(t, target, file, 0, size-1)
		for range 50 {
			first := random.IntN(size)
			c.wantRange(t, target, file, first, first+random.IntN(size-first))
		}
		resp, body := c.get(t, target)
		if resp.StatusCode != 200 || body != string(file) || resp.Header.Get("Content-Range") != "" {
			t.Errorf("%s: got %d and %d bytes for the whole, want 200 and %d", target, resp.StatusCode, len(body), size)
		}
		r := c.request(t, "GET", target, nil)
		r.Header.Set("Range", "bytes=-7")
		if got := all(t, c.do(t, r).Body); got != string(file[size-7:]) {
			t.Errorf("%s: got %q for the last bytes", target, got)
		}
		if got := fetched.Load(); got != before {
			t.Errorf("%s: %d fetches of what the cache has", target, got-before)
		}
	}
}

// wantRange asks for a range of a file.
func (c *client) wantRange(t *testing.T, target string, file []byte, first, last int) {
	t.Helper()
	r := c.request(t, "GET", target, nil)
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	resp := c.do(t, r)
	body := all(t, resp.Body)
	want := fmt.Sprintf("bytes %d-%d/%d", first, last, len(file))
	if got := resp.Header.Get("Content-Range"); resp.StatusCode != 206 || got != want || body != string(file[first:last+1]) {
		t.Errorf("%s: got %d, %q and %d bytes, want 206, %q and %d; %s", target,
			resp.StatusCode, got, len(body), want, last+1-first, strings.Join(resp.Header.Values("Cache-Status"), ", "))
	}
}
