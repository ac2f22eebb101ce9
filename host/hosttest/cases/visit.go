package cases

import (
	"cmp"
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// Forward measures exchanges of the first case that the policy lets pass.
func (s *Suite) Forward(b *testing.B) {
	for _, c := range s.File.Cases {
		if c.Forward != nil {
			s.Visit(b, &c, s.Load(b, c.Name, s.File.Configs[cmp.Or(c.Config, "example")]))
			return
		}
	}
	b.Fatal("no case goes forward")
}

// Visit measures exchanges that go on and come back.
func (s *Suite) Visit(b *testing.B, c *Case, p policy.Policy) {
	alone, walk, x := s.Alone(b, p), new(tier.Walk), new(exchange.Exchange)
	from := c.Exchange(b)
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
		c.Upstream.Answer(x)
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
