package policies

import (
	"cmp"
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// BenchmarkForward measures a whole visit of each shipped policy, both phases,
// with the first case that it lets pass.
func BenchmarkForward(b *testing.B) {
	for _, name := range shipped(b) {
		b.Run(name, func(b *testing.B) {
			s := newSuite(b, name)
			for _, c := range s.cases.Cases {
				if c.Forward != nil {
					s.visit(b, &c, s.load(b, c.Name, s.cases.Configs[cmp.Or(c.Config, "example")]))
					return
				}
			}
			b.Fatal("no case goes forward")
		})
	}
}

func (s *suite) visit(b *testing.B, c *exchangeCase, p policy.Policy) {
	alone, walk, x := s.alone(b, p), new(tier.Walk), new(exchange.Exchange)
	from := c.exchange(b)
	b.ReportAllocs()
	for b.Loop() {
		x.Reset()
		x.Lap()
		header := x.Request.Header
		x.ID, x.Conn, x.ClientIP, x.Upstreams, x.Request, x.Began = from.ID, from.Conn, from.ClientIP, from.Upstreams, from.Request, x.Now
		x.Request.Header = header
		x.Request.Header.CopyFrom(&from.Request.Header)
		if c.Request.Body != "" {
			x.Request.Body = io.NopCloser(strings.NewReader(c.Request.Body))
		}
		if f := alone.Enter(x); f != nil {
			b.Fatal(f)
		}
		if answered, f := alone.Request(walk, x); answered || f != nil {
			b.Fatal(answered, f)
		}
		drain(b, x.Request.Body)
		x.Route.Sent = true
		c.Upstream.answer(x)
		alone.Response(walk, x)
		drain(b, x.Response.Body)
		alone.Done(walk, x)
		alone.Leave(x)
	}
}

func drain(b *testing.B, body io.Reader) {
	if body == nil {
		return
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		b.Fatal(err)
	}
}
