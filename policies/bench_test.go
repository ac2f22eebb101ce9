package policies

import (
	"cmp"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
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
	x := c.exchange(b)
	original := x.Request
	original.Header = exchange.Header{}
	original.Header.CopyFrom(&x.Request.Header)
	request, response := p.(policy.RequestHead), p.(policy.ResponseHead)
	b.ReportAllocs()
	for b.Loop() {
		header := x.Request.Header
		x.Request = original
		x.Request.Header = header
		x.Request.Header.CopyFrom(&original.Header)
		x.Response.Header.Reset()
		x.Route.Sent = false
		x.Arena.Reset()
		i, err := p.Acquire(x)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := request.OnRequestHead(i, x); err != nil {
			b.Fatal(err)
		}
		x.Route.Sent = true
		x.Response.Status = 200
		if err := response.OnResponseHead(i, x); err != nil {
			b.Fatal(err)
		}
		p.Release(i)
	}
}
