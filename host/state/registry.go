// Package state keeps what policies remember from one exchange to the next. It
// belongs to the process, not to a generation: it is named by policy, and stays
// what it is through swaps and rollbacks.
//
// A Registry holds what there is of each policy. Local and Remote return a Store:
// values, counters and buckets by key, in this process or in a Redis that several
// share. Shared returns what the instances of one proxy-wasm policy share.
package state

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Options are the bounds of a Registry, and its server.
type Options struct {
	// MemoryBytes is what all policies together may keep in this process; default
	// 64 MiB.
	MemoryBytes int64
	Redis       *RedisOptions // nil: Remote stores are not available
	Log         *slog.Logger  // default: none
	// Now is the clock of what is kept in this process; it is monotonic and above 0.
	// Default: exchange.Clock.
	Now func() time.Duration
}

// Registry holds the state of all policies. Its methods are safe for concurrent
// use; it is closed after the last Store was used.
type Registry struct {
	now          func() time.Duration
	memory       *budget // of all policies
	server       *server
	sharedLimits sharedLimits

	mu     sync.Mutex
	local  map[string]*local
	remote map[string]*remote
	shared map[string]*Shared
}

// local is what one policy remembers in this process, and how often it could not.
type local struct {
	*memory
	counts
}

const defaultMemoryBytes = 64 << 20

// NewRegistry returns a registry without any state. It connects to nothing before
// it has to.
func NewRegistry(o Options) *Registry {
	o.MemoryBytes = cmp.Or(o.MemoryBytes, defaultMemoryBytes)
	if o.Now == nil {
		o.Now = exchange.Clock
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{
		now:          o.Now,
		memory:       newBudget(o.MemoryBytes, nil),
		server:       newServer(o.Redis, o.Log),
		sharedLimits: defaultSharedLimits,
		local:        make(map[string]*local),
		remote:       make(map[string]*remote),
		shared:       make(map[string]*Shared),
	}
}

// Close ends the connections to the shared store.
func (r *Registry) Close() error { return r.server.close() }

// entryOf returns what m has under a policy's name, and makes it if need be.
func entryOf[T any](r *Registry, m map[string]T, policy string, make func() T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, there := m[policy]
	if !there {
		t = make()
		m[policy] = t
	}
	return t
}

// Local returns what the named policy remembers in this process, whichever
// version of it asks, within limits.
func (r *Registry) Local(policy string, limits Limits) *Store {
	l := entryOf(r, r.local, policy, func() *local {
		return &local{memory: newMemory(r.now, r.memory, r.sweep)}
	})
	return &Store{backend: &room{l.memory, limits}, counts: &l.counts, limits: limits}
}

// Remote returns what the named policy remembers in the shared store.
func (r *Registry) Remote(policy string, limits Limits) *Store {
	remote := entryOf(r, r.remote, policy, func() *remote { return newRemote(r.server, policy) })
	return &Store{backend: remote, counts: &remote.counts, limits: limits, remote: true}
}

// Shared returns what the instances of the named policy share: the same for the
// life of the process, whichever version of the policy asks.
func (r *Registry) Shared(policy string) *Shared {
	return entryOf(r, r.shared, policy, func() *Shared { return newShared(r.sharedLimits, r.memory) })
}

// sweep removes what has expired of all policies.
func (r *Registry) sweep() {
	for _, l := range values(r, r.local) {
		l.sweep()
	}
}

func values[T any](r *Registry, m map[string]T) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]T, 0, len(m))
	for _, t := range m {
		all = append(all, t)
	}
	return all
}
