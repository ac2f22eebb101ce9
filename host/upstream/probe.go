package upstream

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// probe asks an endpoint for its health again and again. It is shared by
// generations that ask in the same way; one that asks differently has its own,
// so that a generation which is only being tried cannot disturb another.
type probe struct {
	healthy  atomic.Bool
	probed   atomic.Int64 // how often
	endpoint *endpoint
	via      transport
	conf     manifest.Health
	host     string // that the endpoint is told
	cancel   context.CancelFunc
	done     chan struct{}

	// Of the goroutine that probes.
	results int // equal ones in a row, of which the last contradicts healthy
	first   bool
}

// startProbe begins with what another generation knows, else with trust that
// ends with the first bad result. The registry's lock is held.
func (r *Registry) startProbe(p *pool, m *member) *probe {
	b := &probe{endpoint: m.endpoint, via: m.via, conf: *p.conf.Health, host: p.endpointHost(m.endpoint), done: make(chan struct{})}
	if p.conf.Host != "" && p.conf.Host != "client" && p.conf.Host != "endpoint" {
		b.host = p.conf.Host
	}
	known, healthy := r.knownHealth(m.endpoint)
	b.healthy.Store(!known || healthy)
	b.first = !known
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(r.ctx)
	r.running.Go(func() { b.run(ctx, r) })
	return b
}

func (r *Registry) knownHealth(e *endpoint) (known, healthy bool) {
	for _, s := range slices.Backward(r.sets) {
		if p := s.pools[e.upstream]; p != nil {
			for _, m := range p.members.Load().all {
				if m.endpoint == e && m.probe != nil {
					return true, m.probe.healthy.Load()
				}
			}
		}
	}
	return false, false
}

// stop ends the probe and waits until it has.
func (b *probe) stop() {
	b.cancel()
	<-b.done
}

func (b *probe) run(ctx context.Context, r *Registry) {
	defer close(b.done)
	for {
		try, cancel := context.WithTimeout(ctx, b.conf.Timeout.D())
		err := b.via.Check(try, &b.conf, b.host)
		cancel()
		if ctx.Err() != nil {
			return
		}
		b.note(r, err)
		b.probed.Add(1)
		interval := b.conf.Interval.D()
		timer := time.NewTimer(interval - interval/10 + rand.N(max(interval/5, 1)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// note counts a result. Enough of them in a row change the endpoint's state.
func (b *probe) note(r *Registry, err error) {
	first := b.first
	b.first = false
	healthy := b.healthy.Load()
	if healthy == (err == nil) {
		b.results = 0
		return
	}
	b.results++
	needed := b.conf.Unhealthy
	if !healthy {
		needed = b.conf.Healthy
	}
	if b.results < needed && !first {
		return
	}
	b.results = 0
	if err == nil {
		b.endpoint.rampFrom.Store(clock())
	}
	b.healthy.Store(err == nil)
	r.metrics.HealthChanged(b.endpoint.upstream, b.endpoint.address, err == nil)
	r.log.Warn("endpoint's health changed", "upstream", b.endpoint.upstream, "endpoint", b.endpoint.address,
		"healthy", err == nil, "err", err)
}
