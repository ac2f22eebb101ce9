package upstream

import (
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// pool is an upstream as one generation configures it. What it knows of its
// endpoints is shared with other generations.
type pool struct {
	name     string
	conf     manifest.Upstream
	registry *Registry
	shared   *shared
	balancer balancer
	hash     func(*exchange.Exchange) uint64 // nil unless the balancer hashes
	red      *telemetry.RED
	members  atomic.Pointer[members]
	room     wire.Room // for those that wait for a connection

	// Guarded by registry.mu.
	discovery *discovery // nil if the manifest lists the endpoints
	closed    bool
}

// shared is what outlives generations of an upstream as a whole.
type shared struct {
	breaker breaker
	budget  budget
	turn    atomic.Uint64 // of balancers that take turns
	settled atomic.Bool   // it has had endpoints: further ones start slowly
}

func newPool(r *Registry, name string, conf manifest.Upstream, s *shared) *pool {
	p := &pool{name: name, conf: conf, registry: r, shared: s}
	p.room = wire.Room{Count: &s.breaker.pending, Max: int64(conf.Breaker.MaxPending), Waited: func(length time.Duration) {
		r.metrics.Waited(name, length)
	}}
	p.balancer = newBalancer(conf.Balance, &s.turn)
	if _, ok := p.balancer.(hashed); ok {
		p.hash = hashOf(conf.Hash)
	}
	p.members.Store(newMembers(nil, conf.Balance))
	return p
}

// hashOf returns what an exchange is balanced by: the key that a policy chose,
// else what the manifest says.
func hashOf(source string) func(*exchange.Exchange) uint64 {
	kind, name, _ := strings.Cut(source, ":")
	from := func(x *exchange.Exchange) string { return x.ClientIP.String() }
	switch kind {
	case "header":
		from = func(x *exchange.Exchange) string { return x.Request.Header.Value(name) }
	case "cookie":
		from = func(x *exchange.Exchange) string { return cookie(&x.Request.Header, name) }
	case "path":
		from = func(x *exchange.Exchange) string {
			path, _, _ := strings.Cut(x.Request.Target, "?")
			return path
		}
	}
	return func(x *exchange.Exchange) uint64 {
		if x.Route.HashKey != "" {
			return hashString(x.Route.HashKey)
		}
		return hashString(from(x))
	}
}

// cookie returns the value of a cookie (RFC 6265, 4.2.1).
func cookie(h *exchange.Header, name string) string {
	for _, f := range h.Fields() {
		if !strings.EqualFold(f.Name, "cookie") {
			continue
		}
		for pair := range strings.SplitSeq(f.Value, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(pair), "="); k == name {
				return v
			}
		}
	}
	return ""
}

// authority is the host that an endpoint is told.
func (p *pool) authority(x *exchange.Exchange, m *member) string {
	switch p.conf.Host {
	case "", "client":
		if x.Request.Authority != "" {
			return x.Request.Authority
		}
		return p.endpointHost(m.endpoint)
	case "endpoint":
		return p.endpointHost(m.endpoint)
	}
	return p.conf.Host
}

// endpointHost is an endpoint's own name: that by which it was looked up, if it
// was.
func (p *pool) endpointHost(e *endpoint) string {
	if d := p.conf.Discovery; d != nil && d.DNS != "" {
		return hostOf(d.DNS)
	}
	return hostOf(e.address)
}

// hostOf returns host and port of an endpoint's URL as they are written there.
func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// hostname returns the host of an endpoint's URL without its port.
func hostname(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// dialAddress returns scheme, and host with port, of an endpoint's URL.
func dialAddress(address string) (scheme, host string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	name := u.Hostname()
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return u.Scheme, name + ":" + port, nil
}

// report counts how a try ended, and ejects the endpoint if that was once too
// often.
func (p *pool) report(m *member, status int, e *wire.Error) {
	o := &p.conf.Outlier
	switch {
	case e == nil && !(o.Status5xx && badGateway(status)):
		m.succeeded()
		return
	case e != nil && (e.Blame != wire.BlameUpstream || e.Stale):
		return
	}
	now := clock()
	length := m.hasFailed(o, now, func() bool { return p.mayEject(now) })
	if length > 0 {
		p.registry.ejected(m.endpoint, length)
	}
}

// mayEject reports whether the share of endpoints that may be ejected has room
// for one more.
func (p *pool) mayEject(now int64) bool {
	all := p.members.Load().all
	ejected := 1
	for _, m := range all {
		if m.ejectedUntil.Load() > now {
			ejected++
		}
	}
	return ejected*100 <= p.conf.Outlier.MaxEjected*len(all)
}

// noEndpoint says that no endpoint is available, and when one may be.
func (p *pool) noEndpoint() *wire.Error {
	now := clock()
	wait := 5 * time.Second
	if h := p.conf.Health; h != nil {
		wait = h.Interval.D()
	}
	for _, m := range p.members.Load().all {
		if left := time.Duration(m.ejectedUntil.Load() - now); left > 0 {
			wait = min(wait, left)
		}
	}
	return &wire.Error{Cause: exchange.CauseNoEndpoint, RetryAfter: max(wait, time.Second), Err: errNoEndpoint}
}

func (p *pool) retried(m *member, e *wire.Error) {
	cause := "status"
	if e != nil {
		cause = string(e.Cause)
	}
	p.registry.metrics.Retried(p.name, cause)
	p.registry.log.Debug("try again", "upstream", p.name, "endpoint", m.address, "cause", cause)
}

// update makes the endpoints those of list. It is called by the registry,
// which holds its lock, and returns what is to be closed after it is released.
func (p *pool) update(list []manifest.Endpoint) (closers []func(), err error) {
	if p.closed {
		return nil, nil
	}
	var all []*member
	for _, e := range list {
		if slices.ContainsFunc(all, func(m *member) bool { return m.address == e.URL }) {
			continue
		}
		m, err := p.registry.hold(p, e)
		if err != nil {
			return p.registry.release(all), err
		}
		all = append(all, m)
	}
	old := p.members.Swap(newMembers(all, p.conf.Balance))
	if len(all) > 0 {
		p.shared.settled.Store(true)
	}
	return p.registry.release(old.all), nil
}
