package upstream

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// A request that waits for an endpoint, or has just chosen it, when the endpoint
// goes away is sent to one that is left: nobody has seen it.
func TestRequestsOutliveTheirEndpoint(t *testing.T) {
	busy := make(chan struct{})
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-busy
		}
		io.WriteString(w, "ok")
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	resolver := &names{}
	resolver.set(nil, "127.0.0.1")
	r := NewRegistry(Options{Resolver: resolver})
	t.Cleanup(r.cancel)
	up := settings()
	up.Retry.Attempts = 0
	up.Connections.Max = 1
	up.Discovery = &manifest.Discovery{DNS: "http://shop.example:" + port, Interval: manifest.Duration(5 * time.Millisecond)}
	set := build(t, r, up)
	var running sync.WaitGroup
	defer running.Wait()
	defer close(busy)
	running.Go(func() { // takes the only connection
		x := ask("GET", "/slow", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Errorf("slow: %v", f)
			return
		}
		read(t, x)
	})
	eventually(t, "a busy connection", func() bool { return r.Status()[0].InFlight == 1 })
	running.Go(func() {
		x := ask("POST", "/", "hello")
		if f := set.Forward(x, "up"); f != nil {
			t.Errorf("got %v, want the other endpoint asked", f)
			return
		}
		read(t, x)
	})
	pending := &set.pools["up"].shared.breaker.pending
	eventually(t, "a request that waits", func() bool { return pending.Load() == 1 })
	resolver.set(nil, "127.0.0.2")
	eventually(t, "the other endpoint", func() bool { return endpoints(r)[0] == "http://127.0.0.2:"+port })
	eventually(t, "no request that waits", func() bool { return pending.Load() == 0 })
}
