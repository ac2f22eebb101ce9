package e2e

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestStorm has many clients ask for everything at once and leave at any moment.
// Whoever stays is answered whole, and in the end nothing is held: no place in a
// tier, no instance of a policy, no connection to the origin.
func TestStorm(t *testing.T) {
	o := startOrigin(t)
	h := startThrough(t, o.URL, "")
	paths := []string{
		o.at(hosttest.Echo),
		o.at(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, io.LimitReader(hosttest.Zeros{}, 100000)) }),
		o.at(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }),
		o.at(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		o.at(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			<-r.Context().Done()
		}),
	}
	var clients sync.WaitGroup
	for i := range len(kinds) * len(wires) {
		clients.Go(func() {
			p := newPassage(t, h, o, kinds[i%len(kinds)], wires[i/len(kinds)])
			for range 30 {
				p.once(t, paths)
			}
		})
	}
	clients.Wait()
	var status engine.Status
	hosttest.Eventually(t, func() bool {
		status = engine.Status{}
		h.get(t, "/v1/status", &status)
		return held(&status) == 0
	}, "nothing is held")
	if status.Upstreams[0].Requests < 100 {
		t.Errorf("only %d requests reached the origin", status.Upstreams[0].Requests)
	}
}

// once sends a request that may be left at any time; if it stays, not for the
// last of the paths, which never answers.
func (p *passage) once(t *testing.T, paths []string) {
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	path := paths[rand.N(len(paths)-1)]
	if rand.N(2) == 0 {
		path = paths[rand.N(len(paths))]
		defer time.AfterFunc(rand.N(5*time.Millisecond), leave).Stop()
	}
	var body io.Reader
	if rand.N(2) == 0 {
		body = io.LimitReader(hosttest.Zeros{}, rand.N(int64(100000)))
	}
	r := p.client.request(t, "PUT", path, body).WithContext(ctx)
	if p.kind.readsBodies() && rand.N(4) == 0 {
		r.Header = r.Header.Clone()
		r.Header.Set("X-Guest-Do", []string{"answer", "keep"}[rand.N(2)])
	}
	resp, err := p.client.transport.RoundTrip(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && !strings.HasSuffix(string(text), "}") {
		t.Errorf("%d bytes were taken for the whole", len(text))
	}
}

// held is how much the host holds for exchanges.
func held(s *engine.Status) (n int) {
	n = int(s.Generation.InFlight)
	for _, tier := range s.Tiers {
		n += tier.Status.Bulkhead.InFlight
		for _, stage := range tier.Stages {
			for _, p := range stage.Policies {
				n += p.Health.Stats.Busy
			}
		}
	}
	for _, u := range s.Upstreams {
		n += int(u.InFlight)
	}
	return n
}
