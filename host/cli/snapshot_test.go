package cli

import (
	"reflect"
	"testing"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/cache/shared"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/tier"
)

func TestSharedInstancesCountOnce(t *testing.T) {
	health := tier.SlotStatus{Quarantined: true, Stats: policy.Stats{Instances: 3, MemoryBytes: 300}}
	status := engine.Status{Tiers: []engine.TierStatus{{Name: "edge", Stages: []engine.StageStatus{
		{Name: "one", Policies: []engine.PolicyStatus{{Name: "p", Health: health}}},
		{Name: "two", Policies: []engine.PolicyStatus{{Name: "p", Health: health, Shared: true}, {Name: "q", Health: health}}},
	}}}}
	instances, quarantined := map[string]int{}, 0
	for _, p := range snapshot(status, state.Stats{}, cacheStats{}).Policies {
		instances[p.Policy] += p.Instances
		if p.Quarantined {
			quarantined++
		}
	}
	if instances["p"] != 3 || instances["q"] != 3 {
		t.Errorf("got %v instances, want 3 each", instances)
	}
	if quarantined != 3 {
		t.Errorf("%d uses are quarantined, want all three", quarantined)
	}
}

func TestCachesAreExported(t *testing.T) {
	stats := cacheStats{
		store: cache.Stats{
			Memory: cache.Tier{Entries: 1, Bytes: 2, Limit: 3, Hits: 4, Evictions: 5}, Disk: cache.Tier{Entries: 6, Limit: 7},
			InFlight: 8, Misses: 9, Stored: 10, Dropped: 11, Purges: 12, Purged: 13,
			Unsaved: 14, Unwritten: 15, DiskErrors: 16, Damaged: 17,
		},
		peers:    &shared.Stats{Joined: true, Hits: 22, Misses: 23, Sent: 24, Unsent: 25, Gaps: 26, Untold: 27},
		policies: []policyCacheStats{{"p", flight.Stats{Flights: 18, Waiting: 19, Waits: 20}, flight.Stats{Flights: 21}}},
	}
	want := telemetry.CacheState{
		Memory: telemetry.CacheTier{Entries: 1, Bytes: 2, Limit: 3, Hits: 4, Evictions: 5}, Disk: telemetry.CacheTier{Entries: 6, Limit: 7},
		OnDisk: true, StoringBytes: 8, Misses: 9, Stored: 10, Dropped: 11, Purges: 12, Purged: 13,
		Unsaved: 14, Unwritten: 15, DiskErrors: 16, Damaged: 17,
		Shared: true, Peers: telemetry.CachePeersState{Joined: true, Hits: 22, Misses: 23, Sent: 24, Unsent: 25, Gaps: 26, Untold: 27},
		Policies: []telemetry.CachePolicyState{{Policy: "p", Fetching: 18, Waiting: 19, Waits: 20, Refreshing: 21}},
	}
	if got := snapshot(engine.Status{}, state.Stats{}, stats).Cache; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
