package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestCrowdThatWaitsForCalls has 64 exchanges of one instance wait for calls, of
// which every second client leaves: who stays is answered, what comes for who left
// has no effect, and nothing is held in the end.
func TestCrowdThatWaitsForCalls(t *testing.T) {
	const clients = 64
	o := startOrigin(t)
	var asked atomic.Int64
	release := make(chan struct{})
	other := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hosttest.Gate(release).ServeHTTP(w, r)
	}))
	var uses []use
	for _, sdk := range sdks() {
		name := "crowd-" + sdk
		uses = append(uses, use{
			name: name, module: sdk + "/guest", config: "call request one / 15000",
			more: "limits.instances = 1\n" + fmt.Sprintf(callGrant, name, other.URL) + "timeout = \"15s\"\n",
		})
	}
	h := start(t, guestManifest(t, o, uses)+fmt.Sprintf(callManifest, other.URL, other.URL))
	leave := make(chan struct{})
	var crowd sync.WaitGroup
	for i := range clients {
		for _, u := range uses {
			crowd.Go(func() {
				c := h.client(t, []wire{h1, h2c}[i/2%2])
				c.host = u.name + ".test"
				r := c.request(t, "GET", "/", nil)
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				if i%2 == 1 {
					go func() { <-leave; cancel() }()
				}
				resp, err := c.transport.RoundTrip(r.WithContext(ctx))
				if i%2 == 1 {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if seen := hosttest.Decode(t, resp.Body); seen.Header.Get("X-Called") != "200" {
					t.Errorf("%s: got %q", u.name, seen.Header.Get("X-Called"))
				}
			})
		}
	}
	hosttest.Eventually(t, func() bool { return asked.Load() == int64(clients*len(uses)) }, "all calls are under way")
	close(leave)
	// Calls are in flight too, and go on: they are the root context's, as in Envoy.
	hosttest.Eventually(t, func() bool { return h.inFlight(t) == int64((clients+clients/2)*len(uses)) }, "half of the clients are gone")
	close(release)
	crowd.Wait()
	hosttest.Eventually(t, func() bool {
		var status engine.Status
		h.get(t, "/v1/status", &status)
		return held(&status) == 0
	}, "nothing is held")
}

// TestCallThatTakesTooLong is one that failed, and one without a grant is refused.
func TestCallThatTakesTooLong(t *testing.T) {
	o := startOrigin(t)
	other := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	var uses []use
	for _, sdk := range sdks() {
		grant := fmt.Sprintf(callGrant, "slow-"+sdk, other.URL)
		uses = append(uses,
			use{name: "slow-" + sdk, module: sdk + "/guest", config: "call request one / 50", more: grant},
			use{name: "alone-" + sdk, module: sdk + "/guest", config: "call request one / 50"})
	}
	h := start(t, guestManifest(t, o, uses)+fmt.Sprintf(callManifest, other.URL, other.URL))
	for _, u := range uses {
		want := "failed"
		if strings.HasPrefix(u.name, "alone") {
			want = "refused"
		}
		if got := h.askSeen(t, h1, u.name, guestRequest{}).Header.Get("X-Called"); got != want {
			t.Errorf("%s: got %q, want %q", u.name, got, want)
		}
	}
}

// TestInstancesThatCalledAtTheirStart: the answer is one instance's, so none is the
// copy of one that waits for it.
func TestInstancesThatCalledAtTheirStart(t *testing.T) {
	o, other := startOrigin(t), hosttest.Serve(t, http.HandlerFunc(callee))
	var uses []use
	for _, sdk := range slices.DeleteFunc(sdks(), func(sdk string) bool { return sdk == "assemblyscript" }) {
		uses = append(uses, use{name: sdk, module: sdk + "/guest", config: "call start one / 5000", more: fmt.Sprintf(callGrant, sdk, other.URL)})
	}
	h := start(t, guestManifest(t, o, uses)+fmt.Sprintf(callManifest, other.URL, other.URL))
	for _, u := range uses {
		hosttest.Eventually(t, func() bool {
			var crowd sync.WaitGroup
			var told atomic.Int64
			for range 32 {
				crowd.Go(func() {
					if h.askSeen(t, h1, u.name, guestRequest{}).Header.Get("X-Called") == "202" {
						told.Add(1)
					}
				})
			}
			crowd.Wait()
			return told.Load() == 32
		}, u.name+": everybody is told")
	}
}

// TestTrailingMetadataByItsOtherName is heard by a guest that exports the callback
// as the C++ and AssemblyScript SDKs do.
func TestTrailingMetadataByItsOtherName(t *testing.T) {
	o := startOrigin(t)
	talker := startTalker(t)
	h := start(t, guestManifest(t, o, []use{
		{name: "trailing", module: "wat/trailing", config: "grpc", more: fmt.Sprintf(callGrant, "trailing", talker)},
	})+fmt.Sprintf(callManifest, talker, talker))
	for _, w := range []wire{h1, h2c} {
		wantFields(t, w.name, h.askSeen(t, w, "trailing", guestRequest{}).Header, map[string][]string{"X-Last": {"l"}})
	}
}
