package proxywasm

import (
	"slices"

	"github.com/ergoproxy/ergo/host/exchange"
)

// aside is what a guest can ask for while only the request's body is at hand: that
// may be carried beside the rest of the exchange, which can't be looked at then. It
// is what was known when the request's head went on, and takes what the guest sets.
type aside struct {
	exchange exchange.Exchange
	before   []exchange.Property // those that the exchange itself has had
}

// setAside makes the stream's aside, if the guest could ask for it.
func (s *stream) setAside() {
	if !s.fleet.asks {
		return
	}
	x := s.x
	a := &aside{before: slices.Clone(x.Properties)}
	a.exchange = exchange.Exchange{
		Conn: x.Conn, ID: x.ID, ClientIP: x.ClientIP, ClientScheme: x.ClientScheme, Began: x.Began, Now: x.Now, Route: x.Route, Properties: slices.Clone(x.Properties),
	}
	r := &a.exchange.Request
	r.Method, r.Scheme, r.Authority, r.Target = x.Request.Method, x.Request.Scheme, x.Request.Authority, x.Request.Target
	r.Version, r.Length = x.Request.Version, x.Request.Length
	r.Header.CopyFrom(&x.Request.Header)
	s.aside = a
}

// rejoin gives the exchange, which is at hand again, what the guest has set aside.
func (s *stream) rejoin() {
	a := s.aside
	if a == nil {
		return
	}
	for i, p := range a.exchange.Properties {
		if i >= len(a.before) || p != a.before[i] {
			_ = s.x.SetProperty(p) // what has no room any more was too late
		}
	}
	a.before = slices.Clone(a.exchange.Properties)
}
