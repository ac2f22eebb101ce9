package cli

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/cache/shared"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
)

// caches are what policies store responses in, by their names. They outlive
// generations.
type caches struct {
	store *cache.Store
	peers *shared.Peers // nil: no other hosts share what is stored

	mu     sync.Mutex
	byName map[string]*policy.Cache
}

// The kernel moves what is on disk.
var _ http1.OnFile = (*cache.Section)(nil)

// openCaches opens the store. Its settings are those of the first manifest, until a
// restart.
func openCaches(conf manifest.Cache, server *state.Server, log *slog.Logger) (*caches, error) {
	store, err := cache.Open(cache.Options{
		MemoryBytes: int64(conf.Memory), EntryBytes: int64(conf.Entry), Disk: conf.Disk, DiskBytes: int64(conf.DiskBytes), Log: log,
	})
	if err != nil {
		return nil, err
	}
	c := &caches{store: store, byName: map[string]*policy.Cache{}}
	if conf.Shared && server != nil {
		c.peers = shared.Join(store, server, log)
	}
	return c, nil
}

// close closes the store, after the last use of it.
func (c *caches) close() error {
	var err error
	if c.peers != nil {
		err = c.peers.Close()
	}
	return errors.Join(err, c.store.Close())
}

// inMemory leaves out the folder, which a running host may have, and the server that
// hosts share, for whoever serves nothing.
func inMemory(conf manifest.Cache) manifest.Cache {
	conf.Disk, conf.Shared = "", false
	return conf
}

// of returns what the named policy has.
func (c *caches) of(name string) *policy.Cache {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := c.byName[name]
	if there == nil {
		there = &policy.Cache{Space: c.store.Space(name)}
		c.byName[name] = there
	}
	return there
}

// cacheStats are caches at one moment.
type cacheStats struct {
	store    cache.Stats
	peers    *shared.Stats      // nil: there are none
	policies []policyCacheStats // by name
}

type policyCacheStats struct {
	name               string
	fetches, refreshes flight.Stats
}

func (c *caches) stats() cacheStats {
	out := cacheStats{store: c.store.Stats()}
	if c.peers != nil {
		s := c.peers.Stats()
		out.peers = &s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		p := c.byName[name]
		out.policies = append(out.policies, policyCacheStats{name, p.Fetches.Stats(), p.Refreshes.Stats()})
	}
	return out
}

var _ admin.Caches = (*caches)(nil)

// Purge follows admin.Caches.
func (c *caches) Purge(policy string, sel cache.Selector, soft bool) (int, error) {
	names := c.store.Names()
	if policy != "" {
		if !slices.Contains(names, policy) {
			return 0, admin.ErrNoCache
		}
		names = []string{policy}
	}
	purged, errs := 0, []error(nil)
	for _, name := range names {
		n, err := c.store.Space(name).Purge(sel, soft)
		purged, errs = purged+n, append(errs, err)
	}
	return purged, errors.Join(errs...)
}

// Status follows admin.Caches.
func (c *caches) Status() admin.CacheStatus {
	stats := c.stats()
	s := stats.store
	out := admin.CacheStatus{
		Memory: admin.CacheTier(s.Memory), Storing: s.InFlight,
		Misses: s.Misses, Stored: s.Stored, Dropped: s.Dropped, Purges: s.Purges, Purged: s.Purged,
	}
	if s.Disk.Limit > 0 {
		disk := admin.CacheTier(s.Disk)
		out.Disk = &disk
	}
	if sh := stats.peers; sh != nil {
		out.Shared = &admin.CacheShared{Joined: sh.Joined, Hits: sh.Hits, Misses: sh.Misses, Untold: sh.Untold}
	}
	for _, p := range stats.policies {
		out.Policies = append(out.Policies, admin.CachePolicy{
			Name: p.name, Fetching: p.fetches.Flights, Waiting: p.fetches.Waiting, Refreshing: p.refreshes.Flights,
		})
	}
	return out
}
