package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// caching has the edge tier store what it has from its services.
const caching = `[upstream.origin]
endpoints = [%[1]q]
[policy.cache]
source = %[2]q
grants = ["ergo_cache", "ergo_clock"]
[edge]
[[edge.stage]]
name = "cache"
use = [{ policy = "cache", config = { stale_on_error = "1h" } }]
[service]
upstream = "origin"
`

// TestEdgeServesStaleWithoutItsServices: what the edge tier has stored answers when the hosts
// of the service tier are gone, stale as it is; what it has not stored is refused.
func TestEdgeServesStaleWithoutItsServices(t *testing.T) {
	s := prepare(t)
	cache, err := filepath.Abs("../../../policies/cache")
	if err != nil {
		t.Fatal(err)
	}
	origin := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "the page")
	}))
	edge, link := freeAddress(t), freeAddress(t)
	s.links[0] = link
	for i, address := range []string{freeAddress(t), edge} {
		s.write(i, address, link, []string{"https://" + link}, fmt.Sprintf(caching, origin.URL, cache))
	}
	service := start(t, s.binary, s.folder, "run", "--tier", "service", "-c", s.manifest(0))
	waitReady(t, over(s.socket(0)), "http://admin/readyz")
	start(t, s.binary, s.folder, "run", "--tier", "edge", "-c", s.manifest(1))
	waitReady(t, over(s.socket(1)), "http://admin/readyz")
	var status string
	get := func(path string) string {
		resp, err := http.Get("http://" + edge + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		status = resp.Header.Get("Cache-Status")
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", resp.StatusCode, body)
	}
	for range 2 { // stored, and renewed by its validator
		if got := get("/page"); got != "200 the page" {
			t.Fatalf("got %q", got)
		}
	}
	service.kill()
	if got := get("/page"); got != "200 the page" || !strings.Contains(status, "hit") {
		t.Errorf("got %q, Cache-Status %q; want the stale page", got, status)
	}
	if got := get("/other"); !strings.HasPrefix(got, "50") {
		t.Errorf("got %q of what is not stored", got)
	}
}
