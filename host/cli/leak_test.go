package cli

import (
	"context"
	"net/http"
	"runtime"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestNothingOutlivesTheHost: everything that a host started ends with it, one
// that served and swapped as well as one that could not start.
func TestNothingOutlivesTheHost(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	refused := folder(t, replaceOnce(t, manifestText(t, "1", ""), `"headers"`, `"nowhere"`))
	life := func() {
		var out, errs buffer
		m, err := load(engine.Source{Path: manifest})
		if err != nil {
			t.Fatal(err)
		}
		h, err := startHost(t.Context(), manifest, m, engine.Both, Streams{&out, &errs})
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range h.server.Addrs() {
			resp, err := http.Get("http://" + address.String() + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if err := h.shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
		if status, _, _ := ergo(t, "run", "-c", refused); status != exitFailed {
			t.Errorf("exit status %d", status)
		}
	}
	life() // what the process keeps for good is there after the first
	before := runtime.NumGoroutine()
	for range 3 {
		life()
	}
	t.Cleanup(func() {
		if t.Failed() {
			stacks := make([]byte, 1<<20)
			t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	})
	hosttest.Eventually(t, func() bool { return runtime.NumGoroutine() <= before }, "goroutines end")
}
