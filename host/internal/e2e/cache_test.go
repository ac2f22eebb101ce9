package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// TestManyWaitForOneFetch has 10,000 clients (1,000 under the race detector) ask for what nobody has: one of them
// fetches it, none of them holds one of the policy's four instances meanwhile, and
// all get it.
func TestManyWaitForOneFetch(t *testing.T) {
	connections, streams := 100, 100
	if race.Enabled {
		connections = 10 // all is ten times as slow then
	}
	const wait = 3 * patience // as long as the policy lets one wait
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var fetched atomic.Int64
	release := make(chan struct{})
	origin := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "for all")
	}))
	h := start(t, fmt.Sprintf(`listener = [{ name = "plain", address = "127.0.0.1:0" }]
edge.max_in_flight = %d
upstream.origin.endpoints = [%q]
service.upstream = "origin"
[policy.cache]
source = %q
grants = ["ergo_cache", "ergo_clock"]
limits = { instances = 4, time = "10s" }
[[edge.stage]]
name = "cache"
use = [{ policy = "cache", config = { wait = "%.0fs" } }]
`, connections*streams, origin.URL, shipped(t, "cache"), wait.Seconds()))

	var crowd sync.WaitGroup
	for range connections {
		c := h.client(t, h2c)
		for range streams {
			crowd.Go(func() { c.wantCached(ctx, t, "for all") })
		}
	}
	looks := time.NewTicker(10 * time.Millisecond)
	defer looks.Stop()
	want := int64(connections * streams)
	for h.inFlight(t) < want && ctx.Err() == nil {
		<-looks.C
	}
	if got := h.inFlight(t); got != want {
		t.Errorf("got %d exchanges that wait, want %d", got, want)
	}
	close(release)
	crowd.Wait()
	if got := fetched.Load(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
}

func (c *client) wantCached(ctx context.Context, t *testing.T, want string) {
	resp, err := c.transport.RoundTrip(c.request(t, "GET", "/crowded", nil).WithContext(ctx))
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(body) != want {
		t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
	}
}
