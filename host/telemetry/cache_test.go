package telemetry

import "testing"

func TestCacheIsExported(t *testing.T) {
	m := NewMetrics("test")
	state := CacheState{
		Memory: CacheTier{Entries: 1, Bytes: 2, Limit: 3, Hits: 4, Evictions: 5}, Disk: CacheTier{Entries: 6, Bytes: 7, Limit: 8, Hits: 9, Evictions: 10},
		StoringBytes: 11, Unsaved: 12, Misses: 13, Stored: 14, Dropped: 15, Purges: 16, Purged: 17,
		Unwritten: 18, DiskErrors: 19, Damaged: 20,
		Peers:    CachePeersState{Hits: 25, Misses: 26, Sent: 27, Unsent: 28, Gaps: 29, Untold: 30},
		Policies: []CachePolicyState{{Policy: "p", Fetching: 21, Waiting: 22, Waits: 23, Refreshing: 24}},
	}
	m.SetSource(func() Snapshot { return Snapshot{Cache: state} })
	inMemory := scrape(t, m)
	if find(inMemory, "ergo_cache_entries", "tier=memory") == nil || find(inMemory, "ergo_cache_entries", "tier=disk") != nil {
		t.Error("got a tier that is not there, or not the one that is")
	}
	if inMemory["ergo_cache_disk_errors_total"] != nil {
		t.Error("a disk that is not there has errors")
	}

	if inMemory["ergo_cache_shared_down"] != nil {
		t.Error("what is not shared is down")
	}

	state.OnDisk, state.Shared = true, true
	families := scrape(t, m)
	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"entries", "tier=memory", 1}, {"bytes", "tier=memory", 2}, {"limit_bytes", "tier=memory", 3},
		{"hits_total", "tier=memory", 4}, {"evictions_total", "tier=memory", 5},
		{"entries", "tier=disk", 6}, {"bytes", "tier=disk", 7}, {"limit_bytes", "tier=disk", 8},
		{"hits_total", "tier=disk", 9}, {"evictions_total", "tier=disk", 10},
		{"storing_bytes", "", 11}, {"disk_unsaved_entries", "", 12}, {"misses_total", "", 13}, {"stored_total", "", 14},
		{"dropped_total", "", 15}, {"purges_total", "", 16}, {"purged_total", "", 17},
		{"disk_unwritten_total", "", 18}, {"disk_errors_total", "", 19}, {"disk_damaged_total", "", 20},
		{"fetches_in_flight", "policy=p", 21}, {"waiting", "policy=p", 22}, {"waits_total", "policy=p", 23},
		{"refreshes_in_flight", "policy=p", 24},
		{"shared_down", "", 1}, {"shared_hits_total", "", 25}, {"shared_misses_total", "", 26}, {"shared_sent_total", "", 27},
		{"shared_unsent_total", "", 28}, {"shared_gaps_total", "", 29}, {"shared_untold_purges", "", 30},
	} {
		var labels []string
		if c.label != "" {
			labels = []string{c.label}
		}
		got := find(families, "ergo_cache_"+c.name, labels...)
		if value := got.GetGauge().GetValue() + got.GetCounter().GetValue(); value != c.want {
			t.Errorf("%s{%s}: got %v, want %v", c.name, c.label, value, c.want)
		}
	}
}
