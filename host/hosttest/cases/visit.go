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
	visit := s.Visits(b, c, p)
	b.ReportAllocs()
	for b.Loop() {
		if visit() {
			b.Fatal("answered")
		}
	}
}

// Visits returns what takes one exchange after another to the policy and back, with the
// case's response to those that it lets pass, and reports which it has answered.
func (s *Suite) Visits(b *testing.B, c *Case, p policy.Policy) func() (answered bool) {
	alone, walk, x := s.Alone(b, p), new(tier.Walk), new(exchange.Exchange)
	from := c.Exchange(b)
	return func() bool {
		x.Reset()
		x.Lap()
		header := x.Request.Header
		x.ID, x.Conn, x.ClientIP, x.Upstreams, x.Request, x.Began = from.ID, from.Conn, from.ClientIP, from.Upstreams, from.Request, x.Now
		x.ClientScheme, x.Request.Header = from.ClientScheme, header
		x.Request.Header.CopyFrom(&from.Request.Header)
		if c.Request.Body != "" {
			x.Request.Body = io.NopCloser(strings.NewReader(c.Request.Body))
		}
		if f := alone.Enter(x); f != nil {
			b.Fatal(f)
		}
		answered, f := alone.Request(walk, x)
		if f != nil {
			b.Fatal(f)
		}
		drain(b, x.Request.Body)
		if !answered {
			x.Route.Sent = true
			c.Upstream.Answer(x)
		}
		alone.Response(walk, x)
		drain(b, x.Response.Body)
		alone.Done(walk, x)
		alone.Leave(x)
		return answered
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
