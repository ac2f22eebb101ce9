package state

import (
	"cmp"
	"slices"
)

// Stats is a Registry at one moment.
type Stats struct {
	MemoryBytes, MemoryLimit int64
	Remote                   bool // there is a shared store
	RemoteDown               bool // and it is not being waited for
	Policies                 []PolicyStats
}

// PolicyStats is what one policy has in one kind of store.
type PolicyStats struct {
	Policy string
	Store  string // "memory", "shared" (elsewhere), or "proxy-wasm"

	Keys, Bytes int64  // in this process
	Full        uint64 // refusals: a bound was reached
	Unavailable uint64 // refusals: the shared store was gone
}

// Stats removes what has expired and counts the rest.
func (r *Registry) Stats() Stats {
	r.sweep()
	stats := Stats{
		MemoryBytes: r.memory.used.Load(), MemoryLimit: r.memory.limit,
		Remote: r.server.client != nil, RemoteDown: r.server.breaker.open(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for policy, l := range r.local {
		row := l.stats(policy, "memory")
		row.Keys, row.Bytes = l.sizes()
		stats.Policies = append(stats.Policies, row)
	}
	for policy, remote := range r.remote {
		stats.Policies = append(stats.Policies, remote.stats(policy, "shared"))
	}
	for policy, s := range r.shared {
		row := s.counts.stats(policy, "proxy-wasm")
		row.Keys, row.Bytes = s.sizes()
		stats.Policies = append(stats.Policies, row)
	}
	slices.SortFunc(stats.Policies, func(a, b PolicyStats) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Store, b.Store))
	})
	return stats
}

func (c *counts) stats(policy, store string) PolicyStats {
	return PolicyStats{Policy: policy, Store: store, Full: c.full.Load(), Unavailable: c.unavailable.Load()}
}
