package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/ergoproxy/ergo/sdk/go"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestPolicyInGoStores has a policy in plain Go do all that ergo_cache does.
func TestPolicyInGoStores(t *testing.T) {
	var fetched atomic.Int64
	release := make(chan struct{})
	origin := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := fetched.Add(1)
		if r.URL.Path == "/crowded" {
			<-release
		}
		w.Header().Set("X-Kind", "first")
		w.Header().Set("X-Mine", "private")
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "response %d", n)
	}))
	h := start(t, fmt.Sprintf(`listener = [{ name = "plain", address = "127.0.0.1:0" }]
upstream.origin.endpoints = [%q]
service.upstream = "origin"
[policy.store]
source = %q
grants = ["ergo_cache"]
[[edge.stage]]
name = "store"
use = [{ policy = "store" }]
`, origin.URL, buildGuest(t, "./testdata/store")))
	c := h.client(t, h1)
	for _, step := range []struct {
		target, do string
		status     int
		body       string
		header     [2]string
	}{
		{"/a", "", 200, "response 1", [2]string{"X-Mine", "private"}},
		{"/a", "", 200, "response 1", [2]string{"X-Mine", ""}},
		{"/a", "describe", 200, "", [2]string{"X-About", "200 false 10 old of http [content-type text/plain x-kind first]"}},
		{"/a", "compose", 206, "sponse 1re", [2]string{"X-Kind", "first"}},
		{"/a", "update", 200, "response 1", [2]string{"X-Kind", "updated"}},
		{"/a", "beyond", 200, sdk.ErrBadArgument.Error(), [2]string{}},
		{"/a", "none", 200, sdk.ErrNotFound.Error(), [2]string{}},
		{"/private", "", 200, "response 2", [2]string{}},
		{"/private", "", 200, "response 3", [2]string{}},
		{"/b", "", 200, "response 4", [2]string{}},
		{"/a", "purge", 200, "1 2 true", [2]string{}},
		{"/a", "", 200, "response 5", [2]string{}},
	} {
		r := c.request(t, "GET", step.target, nil)
		r.Header.Set("X-Do", step.do)
		resp := c.do(t, r)
		if body := all(t, resp.Body); resp.StatusCode != step.status || body != step.body {
			t.Errorf("%s %s: got %d %q, want %d %q", step.target, step.do, resp.StatusCode, body, step.status, step.body)
		}
		if name := step.header[0]; name != "" && resp.Header.Get(name) != step.header[1] {
			t.Errorf("%s %s: got %s %q, want %q", step.target, step.do, name, resp.Header.Get(name), step.header[1])
		}
	}

	// A refresh is a request of the host's own, for which nobody waits.
	r := c.request(t, "GET", "/a", nil)
	r.Header.Set("X-Do", "refresh")
	if body := all(t, c.do(t, r).Body); body != "response 5" {
		t.Errorf("got %q while it is refreshed", body)
	}
	hosttest.Eventually(t, func() bool { _, body := c.get(t, "/a"); return body == "response 6" }, "what was refreshed is there")

	// Of many that want the same one fetches.
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			if _, body := h.client(t, h1).get(t, "/crowded"); body != "response 7" {
				t.Errorf("got %q, want what one has fetched", body)
			}
		})
	}
	hosttest.Eventually(t, func() bool { return h.inFlight(t) == 20 }, "all are there")
	close(release)
	crowd.Wait()
}
