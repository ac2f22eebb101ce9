package policies

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/tier"
)

// routes is the text of n routes that differ in path, of three kinds.
func routes(n int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, `{"path":"/tenant-%d/users/:id","upstream":"blue"}`, i)
		case 1:
			fmt.Fprintf(&b, `{"path":"/tenant-%d/*","upstream":"blue"}`, i)
		case 2:
			fmt.Fprintf(&b, `{"host":"h%d.example","path":"/v1/items","upstream":"blue"}`, i)
		}
	}
	b.WriteByte(']')
	return b.String()
}

// BenchmarkRoutes measures one exchange among 10, 1,000 and 100,000 routes, of which
// the last but a few decides, and reports how long that many take to load and how much
// memory the instance has then.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSuite(b, "router")
			began := time.Now()
			p := s.Load(b, "routes", map[string]any{"routes": routes(n)})
			loaded := time.Since(began)
			last := (n - 1) / 3 * 3
			c := &cases.Case{Upstreams: []string{"blue"}, Request: cases.Request{Target: fmt.Sprintf("/tenant-%d/users/7", last)}}
			s.Visit(b, c, p)
			b.ReportMetric(float64(loaded.Milliseconds()), "load-ms")
			b.ReportMetric(float64(p.Stats().MemoryBytes)/(1<<20), "MiB")
		})
	}
}

// TestManyRoutes has 100,000 of them load, and decide as they should.
func TestManyRoutes(t *testing.T) {
	if race.Enabled {
		t.Skip("it is about the guest, which the race detector does not see")
	}
	const n = 100_000
	s := newSuite(t, "router")
	alone := s.Alone(t, s.Load(t, "routes", map[string]any{"routes": routes(n), "unmatched": "refuse"}))
	for i := range 3000 {
		i *= n / 3000
		r := cases.Request{Target: fmt.Sprintf("/tenant-%d/users/x", i), Host: fmt.Sprintf("h%d.example", i)}
		if i%3 == 2 {
			r.Target = "/v1/items"
		}
		c := &cases.Case{Upstreams: []string{"blue"}, Request: r, Forward: new(cases.RequestWanted)}
		c.Run(t, alone)
		c.Forward, c.Answer = nil, &cases.ResponseWanted{Status: 404}
		c.Request.Target += "/more/"
		if i%3 != 1 {
			c.Run(t, alone)
		}
	}
}

// TestRoutesInAFile: a manifest names the file of the routes.
func TestRoutesInAFile(t *testing.T) {
	const n = 30_000 // more than a manifest itself may have
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "routes.json"), []byte(routes(n)), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := cli.ParseManifest(filepath.Join(folder, "proxy.toml"), []byte(`version = 1
listener = [{ address = "127.0.0.1:0" }]
upstream.blue.endpoints = ["ergo:echo"]
service.upstream = "blue"
policy.router = { source = "router", grants = ["ergo_identity", "ergo_route"] }

[[edge.stage]]
name = "route"

  [[edge.stage.use]]
  policy = "router"
  config = { routes = "file:routes.json", unmatched = "refuse" }
`))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(m.Edge.Stages[0].Uses[0].ResolvedConfig(), &config); err != nil {
		t.Fatal(err)
	}
	s := newSuite(t, "router")
	alone := s.Alone(t, s.Load(t, "routes", config))
	c := &cases.Case{Upstreams: []string{"blue"}, Request: cases.Request{Target: fmt.Sprintf("/tenant-%d/x", n-2)}, Forward: new(cases.RequestWanted)}
	c.Run(t, alone)
	c.Forward, c.Answer, c.Request.Target = nil, &cases.ResponseWanted{Status: 404}, fmt.Sprintf("/tenant-%d/x", n+1)
	c.Run(t, alone)
}

// TestRouterReadsPathsAsTheGuardDoes: of a path that request-guard lets pass, the
// router makes what an application makes of it that decodes it once: there is no
// second spelling by which a request reaches another route.
func TestRouterReadsPathsAsTheGuardDoes(t *testing.T) {
	guard, router := newSuite(t, "request-guard"), newSuite(t, "router")
	first := guard.Alone(t, guard.Load(t, "guard", map[string]any{}))
	second := router.Alone(t, router.Load(t, "router", map[string]any{"rules": []any{
		map[string]any{"path": "/a/b", "upstream": "exact"},
		map[string]any{"path": "/a/*", "upstream": "below"},
		map[string]any{"path": []any{"/A", "/A/*"}, "upstream": "capital"},
		map[string]any{"path": "/*", "upstream": "other"},
	}}))
	pieces := []string{"/", "/", "a", "b", "A", "%61", "%41", "%62", "%2f", "%2F", "%5c", "\\", ".", "%2e", "..", ";", "%3b", "%25", "%2561", "%", "x"}
	random := rand.New(rand.NewPCG(1, 2))
	passed, refused := 0, 0
	for range 5000 {
		target := "/"
		for range 1 + random.IntN(6) {
			target += pieces[random.IntN(len(pieces))]
		}
		c := &cases.Case{Upstreams: []string{"exact", "below", "capital", "other"}, Request: cases.Request{Target: target}}
		if _, answered := visitRequest(t, c, first); answered {
			refused++
			continue
		}
		passed++
		x, answered := visitRequest(t, c, second)
		if answered {
			t.Fatalf("%s: the router refuses what the guard lets pass", target)
		}
		if want := upstreamOf(decodeOnce(target)); x.Route.Upstream != want {
			t.Errorf("%s: got upstream %s, want %s", target, x.Route.Upstream, want)
		}
	}
	if passed < 200 || refused < 200 {
		t.Errorf("%d paths passed and %d were refused", passed, refused)
	}
}

// visitRequest takes a request of its own to a tier and says whether it was answered.
func visitRequest(t *testing.T, c *cases.Case, alone *tier.Tier) (*exchange.Exchange, bool) {
	t.Helper()
	x, walk := c.Exchange(t), new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	answered, f := alone.Request(walk, x)
	if f != nil {
		t.Fatal(f)
	}
	return x, answered
}

// decodeOnce is what an application sees of a path.
func decodeOnce(path string) string {
	for i := 0; i+2 < len(path); i++ {
		var c byte
		if n, err := fmt.Sscanf(path[i:i+3], "%%%02x", &c); n == 1 && err == nil {
			path = path[:i] + string(c) + path[i+3:]
		}
	}
	return path
}

func upstreamOf(path string) string {
	switch {
	case path == "/a/b":
		return "exact"
	case strings.HasPrefix(path, "/a/"):
		return "below"
	case path == "/A", strings.HasPrefix(path, "/A/"):
		return "capital"
	}
	return "other"
}

// TestClonesShareTheirRoutes: many instances of many routes take little more memory
// than one.
func TestClonesShareTheirRoutes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is cloned here")
	}
	const instances = 64
	s := newSuite(t, "router")
	s.Settings.Limits.Instances = instances
	p := s.Load(t, "routes", map[string]any{"routes": routes(10_000)})
	one := p.Stats().MemoryBytes
	for range instances {
		i, err := p.Acquire((&cases.Case{}).Exchange(t))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release(i)
	}
	if stats := p.Stats(); stats.Instances != instances || stats.MemoryBytes > 4*one {
		t.Errorf("%d instances hold %d bytes, the first alone %d", stats.Instances, stats.MemoryBytes, one)
	}
}
