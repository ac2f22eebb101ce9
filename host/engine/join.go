package engine

import (
	"fmt"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/tier"
)

// join puts the loaded parts together to a generation.
func (b *build) join() {
	b.joinUpstreams()
	if len(b.problems) == 0 {
		b.joinTiers()
	}
	b.prepareListeners()
	b.g.forwarding = exchange.Forwarding{
		Trusted: b.m.Host.TrustedProxies, Mode: b.m.Host.Forwarded, Via: b.m.Host.Via, RequestID: b.m.Host.RequestID,
	}
	b.g.next = toUpstream
	b.g.linked = b.e.opts.Mode == Service
	if b.e.opts.Mode == Edge {
		b.g.next = toService
	}
	b.g.digest = b.digest()
	b.g.parts = b.partList()
}

// joinUpstreams opens the upstreams that this process sends to. An edge host
// sends to service hosts alone, and nobody else does: whoever does not forward
// to an endpoint must not probe it either.
func (b *build) joinUpstreams() {
	hosts := ""
	if b.m.Split != nil {
		hosts = b.m.Split.Hosts
	}
	if b.e.opts.Mode == Edge && hosts == "" {
		b.problem("split", "is missing: an edge host has nobody to send to", `add [split] with hosts = "NAME" of an upstream`)
		return
	}
	mine := make(map[string]manifest.Upstream, len(b.m.Upstreams))
	for name, u := range b.m.Upstreams {
		if (name == hosts) == (b.e.opts.Mode == Edge) || b.e.opts.Mode == Both {
			mine[name] = u
		}
	}
	b.warnOfCalls(mine)
	var err error
	if b.g.upstreams, err = b.e.opts.Upstreams.Build(mine); err != nil {
		b.problem("upstream", err.Error(), "")
	}
}

// warnOfCalls warns of upstreams that policies may call and this process does not
// open.
func (b *build) warnOfCalls(mine map[string]manifest.Upstream) {
	for _, r := range b.rows {
		name := r.config.Policy
		calls := b.m.Policies[name].HTTP
		if calls == nil {
			continue
		}
		for i, upstream := range calls.Upstreams {
			if _, opened := mine[upstream]; !opened {
				b.warn(fmt.Sprintf("policy.%s.http.upstreams[%d]", name, i), fmt.Sprintf("an edge host does not open %q: calls will fail", upstream),
					"use the policy in [service], or call an origin (hosts)")
			}
		}
	}
}

func (b *build) joinTiers() {
	before := b.e.current.Load()
	for _, t := range b.runs() {
		spec := tier.Spec{Name: b.name(t), Config: *t, Log: b.e.opts.Log, Metrics: b.e.opts.metrics()}
		spec.Bulkhead, spec.Breaker = before.lasting(spec.Name, *t)
		for i := range t.Stages {
			spec.Stages = append(spec.Stages, tier.StageSpec{Stage: t.Stages[i], Uses: b.uses(spec.Name, i)})
		}
		made, err := tier.New(spec)
		if err != nil {
			b.problem(spec.Name, err.Error(), "")
			continue
		}
		b.g.tiers = append(b.g.tiers, made)
	}
}

// lasting returns the bulkhead and breaker of the tier of that name, if they fit
// its new settings.
func (g *generation) lasting(name string, settings manifest.Tier) (bulkhead *tier.Bulkhead, breaker *tier.Breaker) {
	if g == nil {
		return nil, nil
	}
	for _, t := range g.tiers {
		if t.Name() != name {
			continue
		}
		if t.Bulkhead().Fits(settings) {
			bulkhead = t.Bulkhead()
		}
		if t.Breaker().Fits(settings.Breaker) {
			breaker = t.Breaker()
		}
	}
	return bulkhead, breaker
}

func (b *build) uses(tierName string, stage int) []tier.UseSpec {
	var specs []tier.UseSpec
	for _, r := range b.rows {
		if r.tier == tierName && r.stage == stage {
			specs = append(specs, tier.UseSpec{Slot: r.slot.Slot, OnError: &r.rules})
		}
	}
	return specs
}
