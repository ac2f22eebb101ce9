package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestOddGuests are what no SDK makes any more, or none ever made.
func TestOddGuests(t *testing.T) {
	o := startOrigin(t)
	in := http.Header{"X-In": {"value"}}
	cases := []struct {
		module string
		header http.Header
		seen   map[string][]string
	}{
		// A field that is not there is an empty one in version 0.1.0.
		{"old", nil, map[string][]string{"X-Config": {"configured"}, "X-Missing": {"0"}}},
		{"old_void", nil, map[string][]string{"X-Config": {"configured"}, "X-Missing": {"0"}}},
		{"three", in, map[string][]string{"X-End": {"1"}, "X-Out": {"value"}}},
		{"allocators", in, map[string][]string{"X-Status": {"00"}, "X-Out": {"value"}}},
		// 6 is INVALID_MEMORY_ACCESS, 12 UNIMPLEMENTED; of WASI all is well.
		{"full", in, map[string][]string{"X-Status": {"06"}, "X-Out": {""}}},
		{"unmarked", nil, map[string][]string{"X-Unknown": {"12"}, "X-Wasi": {"00"}}},
	}
	var uses []use
	for _, c := range cases {
		uses = append(uses, use{name: c.module, module: "wat/" + c.module, config: "configured"})
	}
	h := start(t, guestManifest(t, o, uses))
	for _, c := range cases {
		for _, w := range []wire{h1, h2c} {
			t.Run(c.module+" "+w.name, func(t *testing.T) {
				resp, body := h.askGuest(t, w, c.module, guestRequest{header: c.header})
				if resp.StatusCode != 200 {
					t.Fatalf("got status %d", resp.StatusCode)
				}
				wantFields(t, "request", hosttest.Decode(t, strings.NewReader(body)).Header, c.seen)
			})
		}
	}
	if !hasLine(h.log.String(), "by wasi_unstable", `"policy":"unmarked"`) {
		t.Errorf("what was written by wasi_unstable is not logged:\n%s", h.log.tail())
	}
}
