package cli

import (
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/tier"
)

func TestSharedInstancesCountOnce(t *testing.T) {
	health := tier.SlotStatus{Quarantined: true, Stats: policy.Stats{Instances: 3, MemoryBytes: 300}}
	status := engine.Status{Tiers: []engine.TierStatus{{Name: "edge", Stages: []engine.StageStatus{
		{Name: "one", Policies: []engine.PolicyStatus{{Name: "p", Health: health}}},
		{Name: "two", Policies: []engine.PolicyStatus{{Name: "p", Health: health, Shared: true}, {Name: "q", Health: health}}},
	}}}}
	instances, quarantined := map[string]int{}, 0
	for _, p := range snapshot(status, state.Stats{}).Policies {
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
