package policies

import (
	"fmt"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/tier"
)

// chain is a tier of policies `headers`, each of which sets one field of the
// request and one of the response.
type chain struct {
	tier *tier.Tier
	walk tier.Walk
	x    exchange.Exchange
}

func newChain(t testing.TB, s *cases.Suite, length int) *chain {
	t.Helper()
	stage := tier.StageSpec{Stage: manifest.Stage{Name: "mark"}}
	for n := range length {
		name := fmt.Sprintf("headers-%d", n)
		set := map[string]any{"set": map[string]any{fmt.Sprintf("x-policy-%d", n): "1"}}
		p := s.Load(t, name, map[string]any{"request": set, "response": set})
		stage.Uses = append(stage.Uses, tier.UseSpec{Slot: &tier.Slot{Name: name, Version: "1", Policy: p}})
	}
	made, err := tier.New(tier.Spec{
		Name: "edge", Stages: []tier.StageSpec{stage}, Metrics: telemetry.NewMetrics("test"),
		Config: manifest.Tier{MaxInFlight: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return &chain{tier: made}
}

// carry takes one exchange there and back.
func (c *chain) carry(t testing.TB) {
	x := &c.x
	x.Reset()
	x.Lap()
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target, r.Version = "GET", "http", "www.example.com", "/things?all", exchange.HTTP11
	for _, f := range [...]exchange.Field{
		{Name: "User-Agent", Value: "wrk"}, {Name: "Accept", Value: "*/*"}, {Name: "Accept-Encoding", Value: "gzip"},
	} {
		r.Header.Add(f.Name, f.Value)
	}
	if f := c.tier.Enter(x); f != nil {
		t.Fatal(f)
	}
	if answered, f := c.tier.Request(&c.walk, x); answered || f != nil {
		t.Fatal(answered, f)
	}
	x.Route.Sent = true
	x.Response.Status = 200
	x.Response.Header.Add("Content-Type", "text/plain")
	x.Response.Header.Add("Date", "Sun, 22 Nov 2026 20:00:00 GMT")
	c.tier.Response(&c.walk, x)
	c.tier.Done(&c.walk, x)
	c.tier.Leave(x)
}

// Ten policies make no garbage.
func TestChainDoesNotAllocate(t *testing.T) {
	s := newSuite(t, "headers")
	for _, length := range []int{0, 1, 10} {
		c := newChain(t, s, length)
		c.carry(t)
		if got := testing.AllocsPerRun(200, func() { c.carry(t) }); got != 0 && !race.Enabled {
			t.Errorf("%d policies: %v allocations for an exchange, want none", length, got)
		}
		if got := c.x.Request.Header.Len(); got != 3+length {
			t.Errorf("%d policies: %d fields of the request, want %d", length, got, 3+length)
		}
		if got := c.x.Response.Header.Len(); got != 2+length {
			t.Errorf("%d policies: %d fields of the response, want %d", length, got, 2+length)
		}
	}
}

// BenchmarkChain is what a further policy costs in the walk of an exchange.
func BenchmarkChain(b *testing.B) {
	s := newSuite(b, "headers")
	for _, length := range []int{0, 1, 5, 10} {
		b.Run(fmt.Sprintf("policies=%d", length), func(b *testing.B) {
			c := newChain(b, s, length)
			b.ReportAllocs()
			for b.Loop() {
				c.carry(b)
			}
		})
	}
}
