package telemetry

// CacheState is what the host stores for caches, in all.
type CacheState struct {
	Memory, Disk CacheTier
	OnDisk       bool // there is a disk tier

	StoringBytes    int64 // of memory, by responses that are not whole yet
	Unsaved         int   // entries that are to be written to disk
	Misses          uint64
	Stored, Dropped uint64
	Purges, Purged  uint64 // calls, and what they removed or marked

	Unwritten, DiskErrors, Damaged uint64

	Shared bool // with other hosts
	Peers  CachePeersState

	Policies []CachePolicyState
}

// CachePeersState is what the host has to do with those that it shares with.
type CachePeersState struct {
	Joined       bool   // it hears of their purges at the moment
	Hits, Misses uint64 // of lookups that found nothing here
	Sent, Unsent uint64 // responses that they were to get
	Gaps         uint64 // how often all was dropped, because a purge may have been missed
	Untold       int    // purges that they are still to be told of
}

// CacheTier is one of the places where responses are.
type CacheTier struct {
	Entries         int
	Bytes, Limit    int64
	Hits, Evictions uint64
}

// CachePolicyState is what exchanges do at the cache of one policy.
type CachePolicyState struct {
	Policy string

	Fetching   int    // for all that want the same
	Waiting    int64  // for one of those
	Waits      uint64 // ever
	Refreshing int    // in the background
}

var (
	descCacheEntries    = desc("cache_entries", "Responses stored. One may be in both tiers.", "tier")
	descCacheBytes      = desc("cache_bytes", "What they take, keys and fields included; in memory also those that are being stored.", "tier")
	descCacheLimit      = desc("cache_limit_bytes", "What they may take.", "tier")
	descCacheHits       = desc("cache_hits_total", "Stored bodies that were opened, by where they were.", "tier")
	descCacheEvictions  = desc("cache_evictions_total", "Responses that left a tier to make room.", "tier")
	descCacheStoring    = desc("cache_storing_bytes", "Memory taken by responses that are not whole yet.")
	descCacheMisses     = desc("cache_misses_total", "Lookups that found nothing.")
	descCacheStored     = desc("cache_stored_total", "Responses stored.")
	descCacheDropped    = desc("cache_dropped_total", "Responses that were to be stored but were too large, had no room or were purged on their way.")
	descCachePurges     = desc("cache_purges_total", "Purges asked for.")
	descCachePurged     = desc("cache_purged_total", "Responses that purges removed or marked.")
	descCacheUnsaved    = desc("cache_disk_unsaved_entries", "Responses that are to be written to disk.")
	descCacheUnwritten  = desc("cache_disk_unwritten_total", "Responses not written because the disk was full, broken or too slow.")
	descCacheDiskErrors = desc("cache_disk_errors_total", "Reads and writes of the disk that failed.")
	descCacheDamaged    = desc("cache_disk_damaged_total", "Responses that were lost on disk.")

	descCachePeersDown  = desc("cache_shared_down", "1 while purges of other hosts do not arrive, and nothing is shared.")
	descCachePeerHits   = desc("cache_shared_hits_total", "Lookups that found what another host has stored.")
	descCachePeerMisses = desc("cache_shared_misses_total", "Lookups that found nothing at other hosts either.")
	descCacheSent       = desc("cache_shared_sent_total", "Responses left for other hosts.")
	descCacheUnsent     = desc("cache_shared_unsent_total", "Responses that were to be left for other hosts but could not be.")
	descCacheGaps       = desc("cache_shared_gaps_total", "How often all was dropped because purges of other hosts may have been missed.")
	descCacheUntold     = desc("cache_shared_untold_purges", "Purges that other hosts are still to be told of.")

	descCacheFetching   = desc("cache_fetches_in_flight", "Requests that fetch for all that want the same.", "policy")
	descCacheWaiting    = desc("cache_waiting", "Requests that wait for another one's fetch.", "policy")
	descCacheWaits      = desc("cache_waits_total", "Waits for another one's fetch.", "policy")
	descCacheRefreshing = desc("cache_refreshes_in_flight", "Requests repeated in the background to renew what is stored.", "policy")
)

func (e emitter) cache(s *CacheState) {
	e.cacheTier(&s.Memory, "memory")
	e.gauge(descCacheStoring, float64(s.StoringBytes))
	e.counter(descCacheMisses, s.Misses)
	e.counter(descCacheStored, s.Stored)
	e.counter(descCacheDropped, s.Dropped)
	e.counter(descCachePurges, s.Purges)
	e.counter(descCachePurged, s.Purged)
	if s.OnDisk {
		e.cacheTier(&s.Disk, "disk")
		e.gauge(descCacheUnsaved, float64(s.Unsaved))
		e.counter(descCacheUnwritten, s.Unwritten)
		e.counter(descCacheDiskErrors, s.DiskErrors)
		e.counter(descCacheDamaged, s.Damaged)
	}
	if s.Shared {
		e.cachePeers(&s.Peers)
	}
	for i := range s.Policies {
		p := &s.Policies[i]
		e.gauge(descCacheFetching, float64(p.Fetching), p.Policy)
		e.gauge(descCacheWaiting, float64(p.Waiting), p.Policy)
		e.counter(descCacheWaits, p.Waits, p.Policy)
		e.gauge(descCacheRefreshing, float64(p.Refreshing), p.Policy)
	}
}

func (e emitter) cacheTier(t *CacheTier, tier string) {
	e.gauge(descCacheEntries, float64(t.Entries), tier)
	e.gauge(descCacheBytes, float64(t.Bytes), tier)
	e.gauge(descCacheLimit, float64(t.Limit), tier)
	e.counter(descCacheHits, t.Hits, tier)
	e.counter(descCacheEvictions, t.Evictions, tier)
}

func (e emitter) cachePeers(p *CachePeersState) {
	e.gauge(descCachePeersDown, truth(!p.Joined))
	e.counter(descCachePeerHits, p.Hits)
	e.counter(descCachePeerMisses, p.Misses)
	e.counter(descCacheSent, p.Sent)
	e.counter(descCacheUnsent, p.Unsent)
	e.counter(descCacheGaps, p.Gaps)
	e.gauge(descCacheUntold, float64(p.Untold))
}
