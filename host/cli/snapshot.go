package cli

import (
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// snapshot turns an engine's status, and what policies remember and store, into what
// telemetry exports.
func snapshot(s engine.Status, remembered state.Stats, stored cacheStats) telemetry.Snapshot {
	out := telemetry.Snapshot{State: stateState(remembered), Cache: cacheState(stored), Generation: telemetry.Generation{
		Number:   s.Generation.ID,
		Since:    s.Generation.Since,
		InFlight: int(s.Generation.InFlight),
		Draining: len(s.Draining),
	}}
	for _, old := range s.Draining {
		out.Generation.DrainingInFlight += int(old.InFlight)
	}
	for _, t := range s.Tiers {
		out.Tiers = append(out.Tiers, tierState(t))
		for _, stage := range t.Stages {
			for _, p := range stage.Policies {
				out.Policies = append(out.Policies, policyState(t.Name, stage.Name, p))
			}
		}
	}
	breakers := make(map[string]bool)
	for _, e := range s.Upstreams {
		out.Endpoints = append(out.Endpoints, telemetry.EndpointState{
			Upstream: e.Upstream, Endpoint: e.Endpoint,
			Healthy: e.Healthy && e.Ejected.IsZero(), InFlight: int(e.InFlight),
		})
		if _, seen := breakers[e.Upstream]; !seen {
			breakers[e.Upstream] = true
			out.Upstreams = append(out.Upstreams, telemetry.UpstreamState{
				Upstream: e.Upstream, BreakerOpen: e.Breaker == "open",
			})
		}
	}
	return out
}

func tierState(t engine.TierStatus) telemetry.TierState {
	b := t.Status.Bulkhead
	return telemetry.TierState{
		Tier: t.Name, InFlight: b.InFlight, Queued: b.Queued, Limit: b.Limit, Shed: b.Shed,
		BreakerOpen: t.Status.BreakerOpen,
	}
}

// policyState leaves the numbers of shared instances to the use that comes first:
// they are added up over stages.
func policyState(tier, stage string, p engine.PolicyStatus) telemetry.PolicyState {
	stats := p.Health.Stats
	if p.Shared {
		stats = policy.Stats{}
	}
	return telemetry.PolicyState{
		Tier: tier, Stage: stage, Policy: p.Name, Version: p.Version,
		Instances: stats.Instances, Busy: stats.Busy, MemoryBytes: stats.MemoryBytes,
		Created: stats.Created, Discarded: stats.Discarded,
		Waits: stats.Waits, Overloads: stats.Overloads, LinesLost: stats.LinesLost, Ticks: stats.Ticks,
		BackgroundFailures: stats.BackgroundFailures,
		Quarantined:        p.Health.Quarantined,
		Down:               stats.Down,
	}
}

func stateState(s state.Stats) telemetry.StateState {
	out := telemetry.StateState{
		MemoryBytes: s.MemoryBytes, MemoryLimit: s.MemoryLimit, Shared: s.Remote, SharedDown: s.RemoteDown,
	}
	for _, p := range s.Policies {
		out.Stores = append(out.Stores, telemetry.StoreState(p))
	}
	return out
}

func cacheState(s cacheStats) telemetry.CacheState {
	out := telemetry.CacheState{
		Memory: telemetry.CacheTier(s.store.Memory), Disk: telemetry.CacheTier(s.store.Disk), OnDisk: s.store.Disk.Limit > 0,
		StoringBytes: s.store.InFlight, Unsaved: s.store.Unsaved,
		Misses: s.store.Misses, Stored: s.store.Stored, Dropped: s.store.Dropped, Purges: s.store.Purges, Purged: s.store.Purged,
		Unwritten: s.store.Unwritten, DiskErrors: s.store.DiskErrors, Damaged: s.store.Damaged,
	}
	if p := s.peers; p != nil {
		out.Shared, out.Peers = true, telemetry.CachePeersState(*p)
	}
	for _, p := range s.policies {
		out.Policies = append(out.Policies, telemetry.CachePolicyState{
			Policy: p.name, Fetching: p.fetches.Flights, Waiting: p.fetches.Waiting, Waits: p.fetches.Waits,
			Refreshing: p.refreshes.Flights,
		})
	}
	return out
}
