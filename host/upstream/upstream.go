// Package upstream forwards exchanges to endpoints: it balances, watches their
// health, retries where that is safe, and bounds whatever could grow.
//
// A Registry lives as long as the process and holds what is known of endpoints:
// connections, load, health, ejections. A Set is the upstreams of one
// generation, a view of the registry with settings of its own.
package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// Options of a Registry. All may be zero.
type Options struct {
	Log *slog.Logger // nil: none
	// RED returns what the requests to an upstream are counted with; nil, or a
	// nil result: nothing. A Set closes what it got.
	RED      func(upstream string) *telemetry.RED
	Metrics  Metrics  // nil: none
	Resolver Resolver // nil: net.DefaultResolver
}

// Metrics is told what happens at upstreams besides requests. It is called from
// many goroutines, also while an exchange waits, so it must not block.
type Metrics interface {
	Retried(upstream, cause string)
	Ejected(upstream, endpoint string, length time.Duration)
	HealthChanged(upstream, endpoint string, healthy bool)
	// Waited tells how long a request was without a connection.
	Waited(upstream string, length time.Duration)
}

// Resolver looks up addresses, as *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Registry holds the state of endpoints over all generations. It is safe for
// concurrent use.
type Registry struct {
	log      *slog.Logger
	red      func(string) *telemetry.RED
	metrics  Metrics
	resolver Resolver

	ctx     context.Context // of everything that runs in the background
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu          sync.Mutex
	sets        []*Set // oldest first
	shared      shelf[*shared]
	endpoints   shelf[*endpoint]
	links       shelf[transport]
	probes      shelf[*probe]
	discoveries shelf[*discovery]
}

// NewRegistry returns an empty registry; its user closes it.
func NewRegistry(o Options) *Registry {
	r := &Registry{log: o.Log, red: o.RED, metrics: o.Metrics, resolver: o.Resolver}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.red == nil {
		r.red = func(string) *telemetry.RED { return nil }
	}
	if r.metrics == nil {
		r.metrics = noMetrics{}
	}
	if r.resolver == nil {
		r.resolver = net.DefaultResolver
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.sweep)
	return r
}

type noMetrics struct{}

func (noMetrics) Retried(string, string)                {}
func (noMetrics) Ejected(string, string, time.Duration) {}
func (noMetrics) HealthChanged(string, string, bool)    {}
func (noMetrics) Waited(string, time.Duration)          {}

// sweep closes idle connections in time.
func (r *Registry) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		}
		r.mu.Lock()
		links := make([]transport, 0, len(r.links.parts))
		for _, p := range r.links.parts {
			links = append(links, p.value)
		}
		r.mu.Unlock()
		for _, l := range links {
			l.Sweep()
		}
	}
}

// Set is the upstreams of one generation. It is safe for concurrent use.
type Set struct {
	registry *Registry
	pools    map[string]*pool
}

// Build returns the upstreams of a new generation; its user closes it. Nothing
// that other generations use is touched. On an error, which names the upstream,
// nothing remains.
func (r *Registry) Build(ups map[string]manifest.Upstream) (*Set, error) {
	s := &Set{registry: r, pools: make(map[string]*pool, len(ups))}
	r.mu.Lock()
	r.sets = append(r.sets, s)
	r.mu.Unlock()
	for name, conf := range ups {
		if err := r.open(s, name, conf); err != nil {
			s.Close()
			return nil, fmt.Errorf("upstream %s: %w", name, err)
		}
	}
	return s, nil
}

func (r *Registry) open(s *Set, name string, conf manifest.Upstream) error {
	r.mu.Lock()
	state, _, _ := r.shared.take(name, func() (*shared, error) { return new(shared), nil })
	p := newPool(r, name, conf, state)
	p.red = r.red(name)
	s.pools[name] = p
	r.mu.Unlock()
	if conf.Discovery != nil {
		return r.discover(p)
	}
	return r.update(p, conf.Endpoints)
}

// update gives a pool its endpoints.
func (r *Registry) update(p *pool, list []manifest.Endpoint) error {
	r.mu.Lock()
	closers, err := p.update(list)
	r.mu.Unlock()
	run(closers)
	return err
}

func run(closers []func()) {
	for _, c := range closers {
		c()
	}
}

// hold makes a member of a pool from parts that it shares with others.
func (r *Registry) hold(p *pool, e manifest.Endpoint) (*member, error) {
	m := &member{weight: uint64(max(e.Weight, 1))}
	m.keys.endpoint = p.name + " " + e.URL
	m.keys.link = fmt.Sprintf("%s %+v", m.keys.endpoint, p.settings(e.URL))
	var made bool
	var err error
	m.via, _, err = r.links.take(m.keys.link, func() (transport, error) { return newTransport(e.URL, p.settings(e.URL), r.log) })
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", e.URL, err)
	}
	m.endpoint, made, _ = r.endpoints.take(m.keys.endpoint, func() (*endpoint, error) {
		return &endpoint{upstream: p.name, address: e.URL}, nil
	})
	if made && p.shared.settled.Load() {
		m.rampFrom.Store(clock())
	}
	if p.conf.Health != nil {
		m.keys.probe = fmt.Sprintf("%s %+v %q", m.keys.link, *p.conf.Health, p.conf.Host)
		m.probe, _, _ = r.probes.take(m.keys.probe, func() (*probe, error) { return r.startProbe(p, m), nil })
	}
	return m, nil
}

// release gives members back and returns what is to be closed for it.
func (r *Registry) release(all []*member) (closers []func()) {
	for _, m := range all {
		if m.probe != nil {
			if old, last := r.probes.give(m.keys.probe); last {
				closers = append(closers, old.stop)
			}
		}
		r.endpoints.give(m.keys.endpoint)
		if old, last := r.links.give(m.keys.link); last {
			closers = append(closers, old.Close)
		}
	}
	return closers
}

// HasUpstream follows exchange.Upstreams.
func (s *Set) HasUpstream(name string) bool { return s.pools[name] != nil }

var _ exchange.Upstreams = (*Set)(nil)

// Ready reports whether an exchange sent to the upstream would reach an endpoint, as
// far as is known: one is healthy and not ejected, and the breaker is not open.
func (s *Set) Ready(name string) bool {
	p := s.pools[name]
	if p == nil {
		return false
	}
	now := clock()
	if p.shared.breaker.state(now) == "open" {
		return false
	}
	return slices.ContainsFunc(p.members.Load().all, func(m *member) bool { return m.available(now) })
}

// Forward sends x.Request to an endpoint of the upstream and makes its answer
// x.Response: the head is complete, the body streams, trailers follow with its
// end. The life of x rules all of it. The client of x is told informational
// responses. Whoever sends the response closes its body or tunnel, which ends
// what is counted. On a failure, whose Err is an *wire.Error, x.Response is as it was.
func (s *Set) Forward(x *exchange.Exchange, name string) *exchange.Failure {
	return s.ForwardBy(new(Call), x, name)
}

// ForwardBy is Forward with the memory of c, which is empty.
func (s *Set) ForwardBy(c *Call, x *exchange.Exchange, name string) *exchange.Failure {
	p := s.pools[name]
	if p == nil {
		e := &wire.Error{Upstream: strings.Clone(name), Cause: exchange.CauseNoRoute, Blame: wire.BlameHost, Err: errNoUpstream}
		return e.Failure()
	}
	x.Route.Sent = true
	e := c.forward(p, x)
	if e == nil {
		return nil
	}
	e.Upstream = p.name
	return e.Failure()
}

// Close gives the generation's upstreams back. Endpoints that no other
// generation uses are no longer probed; their idle connections are closed, the
// others when their exchanges end.
func (s *Set) Close() {
	r := s.registry
	var closers []func()
	r.mu.Lock()
	if i := slices.Index(r.sets, s); i >= 0 {
		r.sets = slices.Delete(r.sets, i, i+1)
	}
	for _, p := range s.pools {
		if p.closed {
			continue
		}
		p.closed = true
		if p.discovery != nil {
			closers = append(closers, r.undiscover(p)...)
		}
		closers = append(closers, r.release(p.members.Load().all)...)
		closers = append(closers, p.red.Close)
		r.shared.give(p.name)
	}
	r.mu.Unlock()
	run(closers)
}

// Close ends everything that runs in the background and waits for it until ctx
// ends. Sets are closed by their users; exchanges on their way go on.
func (r *Registry) Close(ctx context.Context) error {
	r.cancel()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Registry) ejected(e *endpoint, length time.Duration) {
	r.metrics.Ejected(e.upstream, e.address, length)
	r.log.Warn("endpoint ejected", "upstream", e.upstream, "endpoint", e.address, "for", length)
}

// Status says how one endpoint of an upstream is doing.
type Status struct {
	Upstream string    `json:"upstream"`
	Endpoint string    `json:"endpoint"`
	Weight   int       `json:"weight"`
	Healthy  bool      `json:"healthy"` // by active checks; true without them
	Ejected  time.Time `json:"ejected_until,omitzero"`
	InFlight int64     `json:"in_flight"`
	Requests uint64    `json:"requests"` // tries, since the endpoint is known
	Failed   uint64    `json:"failed"`   // of them
	Breaker  string    `json:"breaker"`  // of the upstream: "closed", "open" or "half-open"
}

// Status returns the endpoints of all generations in use, by upstream and
// address; the newest generation counts where they differ.
func (r *Registry) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := clock()
	seen := map[string]bool{}
	var all []Status
	for _, s := range slices.Backward(r.sets) {
		for _, p := range s.pools {
			for _, m := range p.members.Load().all {
				if key := m.keys.endpoint; !seen[key] {
					seen[key] = true
					all = append(all, p.status(m, now))
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b Status) int {
		if c := strings.Compare(a.Upstream, b.Upstream); c != 0 {
			return c
		}
		return strings.Compare(a.Endpoint, b.Endpoint)
	})
	return all
}

func (p *pool) status(m *member, now int64) Status {
	s := Status{
		Upstream: p.name,
		Endpoint: m.address,
		Weight:   int(m.weight),
		Healthy:  m.probe == nil || m.probe.healthy.Load(),
		InFlight: m.inFlight.Load(),
		Requests: m.requests.Load(),
		Failed:   m.failed.Load(),
		Breaker:  p.shared.breaker.state(now),
	}
	if left := m.ejectedUntil.Load() - now; left > 0 {
		s.Ejected = time.Now().Add(time.Duration(left))
	}
	return s
}
