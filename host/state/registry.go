// Package state keeps what policies remember from one exchange to the next. It
// belongs to the process, not to a generation: it is named by policy, and stays
// what it is through swaps and rollbacks.
//
// A Registry holds what there is of each policy: Shared is what the instances of
// one proxy-wasm policy share.
package state

import "sync"

// Options are the bounds of a Registry.
type Options struct {
	// MemoryBytes is what all policies together may keep in this process; default
	// 64 MiB.
	MemoryBytes int64
}

// Registry holds the state of all policies. Its methods are safe for concurrent
// use.
type Registry struct {
	memory       *budget // of all policies
	sharedLimits sharedLimits

	mu     sync.Mutex
	shared map[string]*Shared
}

const defaultMemoryBytes = 64 << 20

// NewRegistry returns a registry without any state.
func NewRegistry(o Options) *Registry {
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	return &Registry{
		memory:       newBudget(o.MemoryBytes, nil),
		sharedLimits: defaultSharedLimits,
		shared:       make(map[string]*Shared),
	}
}

// Shared returns what the instances of the named policy share: the same for the
// life of the process, whichever version of the policy asks.
func (r *Registry) Shared(policy string) *Shared {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shared[policy]
	if s == nil {
		s = newShared(r.sharedLimits, r.memory)
		r.shared[policy] = s
	}
	return s
}
