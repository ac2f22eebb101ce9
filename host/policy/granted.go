package policy

import (
	"sync"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Granted is what the grants of one policy come to: the things that its
// capabilities act on, each bounded and named for this policy alone. What was
// not granted is nil. It outlives instances, and is closed after the policy.
type Granted struct {
	Policy  string                     // its name in the manifest
	Metrics *telemetry.GuestMetrics    // those that it defines itself; never nil
	Secrets map[string]manifest.Secret // by the names that it knows them by
	HTTP    *outbound.Client           // calls that the policy makes
	Shared  *state.Shared              // what its instances share, of all versions; never nil
	KV      *KV                        // what it remembers
	Keys    *keyring.Grant             // that it works with, without knowing them
	Cache   *Cache                     // responses that it stores
}

// Cache is what a policy stores responses in. It belongs to the process, so nobody
// closes it.
type Cache struct {
	Space     *cache.Space
	Fetches   flight.Group // exchanges that others wait for
	Refreshes flight.Group // requests that are repeated to renew what is stored
	Visits    sync.Pool    // what the capability keeps of exchanges, to be used again
}

// KV is what a policy remembers from one exchange to the next. It belongs to the
// process, so nobody closes it.
type KV struct {
	Store *state.Store
	Tell  bool // the policy is told that the store is gone; else its call fails
	// StandIn is used while the store is gone; nil if nothing is.
	StandIn *state.Store
}

// Close lets go of everything. Nobody uses it any more.
func (g *Granted) Close() error {
	g.Metrics.Close()
	if g.Keys != nil {
		g.Keys.Close()
	}
	if g.HTTP != nil {
		return g.HTTP.Close()
	}
	return nil
}
