package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream"
)

// lightHost is a host with metrics, tracing that samples nothing, both tiers
// without policies, and the origin in the binary: what is measured is the way
// through all of it.
func lightHost(t testing.TB) *Engine {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	tel := &telemetry.Telemetry{Metrics: telemetry.NewMetrics("test")}
	ups := upstream.NewRegistry(upstream.Options{Log: log, RED: tel.Metrics.Upstream, Metrics: tel.Metrics})
	e := New(Options{Mode: Both, Upstreams: ups, Log: log, Telemetry: tel})
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := ups.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	text := fmt.Sprintf(`version = 1
[host]
admin = ""
data = %q
[[listener]]
address = "127.0.0.1:1"
[upstream.origin]
endpoints = ["ergo:echo"]
[edge]
timeout = "30s"
[service]
timeout = "20s"
upstream = "origin"
`, filepath.Join(t.TempDir(), "data"))
	if _, err := e.Swap(context.Background(), "swap", Source{Path: "proxy.toml", Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	return e
}

// dropped is a client that needs nothing.
type dropped struct{ sent int }

func (*dropped) Inform(int, *exchange.Header) error { return nil }

func (d *dropped) Send(x *exchange.Exchange) error {
	if x.Response.Status == 200 {
		d.sent++
	}
	if x.Response.Body != nil {
		return x.Response.Body.Close()
	}
	return nil
}

// client is a connection whose exchanges use the same memory, as a server's do.
type client struct {
	x    exchange.Exchange
	sink dropped
}

func newClient() *client {
	c := &client{}
	c.x.Sink = &c.sink
	c.x.Conn = &exchange.Conn{ID: 1, Listener: "test", Remote: netip.MustParseAddrPort("192.0.2.1:1000"), Local: netip.MustParseAddrPort("192.0.2.2:80")}
	return c
}

func (c *client) ask(e *Engine) {
	x := &c.x
	x.Reset()
	x.Began = x.Lap()
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target, r.Version = "GET", "http", "example.com", "/bytes/0", exchange.HTTP11
	r.Header.AddKnown(exchange.UserAgent, "User-Agent", "test")
	r.Header.AddKnown(exchange.Accept, "Accept", "*/*")
	e.Serve(x)
}

func TestServeDoesNotAllocate(t *testing.T) {
	e, c := lightHost(t), newClient()
	c.ask(e)
	h := &c.x.Request.Header
	if h.Value("x-forwarded-for") != "192.0.2.1" || len(h.Value("x-request-id")) != 32 || !strings.HasPrefix(h.Value("via"), "1.1 ") ||
		!c.x.Response.Header.Has("via") {
		t.Errorf("the upstream was told %v and we %v", h.Fields(), c.x.Response.Header.Fields())
	}
	const runs = 200
	n := testing.AllocsPerRun(runs, func() { c.ask(e) })
	if race.Enabled {
		n = 0 // it makes sync.Pool forget
	}
	if n != 0 || c.sink.sent != runs+2 {
		t.Errorf("%v allocations for an exchange, %d of %d answered; want 0 and all", n, c.sink.sent, runs+2)
	}
}

// BenchmarkServe is all that the host does for an exchange between the server's
// sink and the connection to an endpoint.
func BenchmarkServe(b *testing.B) {
	e := lightHost(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c := newClient()
		for pb.Next() {
			c.ask(e)
		}
	})
}
