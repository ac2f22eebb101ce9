package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Snapshot is the state of the host's parts at one moment. It is asked for when
// metrics are read, so that parts keep their own state and nothing else, and
// series of parts that are gone end by themselves.
type Snapshot struct {
	Generation Generation
	Policies   []PolicyState // several may have the same names: they are added up
	Tiers      []TierState
	Upstreams  []UpstreamState
	Endpoints  []EndpointState
	State      StateState
	Cache      CacheState
}

// Generation is the state of the current generation and of those that still
// carry exchanges.
type Generation struct {
	Number           uint64
	Since            time.Time
	InFlight         int
	Draining         int // generations
	DrainingInFlight int // their exchanges
}

// PolicyState is the state of one use of a policy.
type PolicyState struct {
	Tier, Stage, Policy, Version string

	Instances, Busy    int
	MemoryBytes        int64
	Created, Discarded uint64
	Waits, Overloads   uint64
	LinesLost          uint64
	Ticks              uint64 // metered cost
	BackgroundFailures uint64 // in work that no exchange waited for
	Quarantined        bool
	Down               int
}

// TierState is the state of a tier's bulkhead and breaker.
type TierState struct {
	Tier             string
	InFlight, Queued int
	Limit            int    // of InFlight
	Shed             uint64 // exchanges refused
	BreakerOpen      bool
}

// UpstreamState is the state of an upstream as a whole.
type UpstreamState struct {
	Upstream    string
	BreakerOpen bool
}

// EndpointState is the state of one endpoint of an upstream.
type EndpointState struct {
	Upstream, Endpoint string

	Healthy  bool
	InFlight int
}

// SetSource names the function that reads the state of the host's parts. It is
// called whenever metrics are read, from any goroutine.
func (m *Metrics) SetSource(source func() Snapshot) { m.source.Store(&source) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ergo_"+name, help, labels, nil)
}

var (
	policyLabels   = []string{"tier", "stage", "policy", "version"}
	endpointLabels = []string{"upstream", "endpoint"}

	descGeneration = desc("generation_number", "Number of the current generation.")
	descSince      = desc("generation_start_time_seconds", "When the current generation took over, in Unix time.")
	descInFlight   = desc("generation_exchanges_in_flight", "Exchanges carried by the current and by draining generations.", "state")
	descDraining   = desc("generations_draining", "Generations that are left but still carry exchanges.")

	descInstances   = desc("policy_instances", "Live instances.", policyLabels...)
	descBusy        = desc("policy_instances_busy", "Instances lent to exchanges.", policyLabels...)
	descMemory      = desc("policy_memory_bytes", "Memory held by all instances.", policyLabels...)
	descCreated     = desc("policy_instances_created_total", "Instances started.", policyLabels...)
	descBackground  = desc("policy_background_failures_total", "Traps and timeouts in work that no exchange waited for.", policyLabels...)
	descDiscarded   = desc("policy_instances_discarded_total", "Instances thrown away after a failure.", policyLabels...)
	descDown        = desc("policy_instances_down", "Processes that ended and are to be started again.", policyLabels...)
	descWaits       = desc("policy_instance_waits_total", "Exchanges that had to wait for an instance.", policyLabels...)
	descLinesLost   = desc("policy_log_lines_dropped_total", "Log lines of a policy beyond its limit.", policyLabels...)
	descTicks       = desc("policy_ticks_total", "Metered cost of a policy's calls: about one for an instruction.", policyLabels...)
	descOverloads   = desc("policy_instance_overloads_total", "Exchanges that waited for an instance in vain.", policyLabels...)
	descQuarantined = desc("policy_quarantined", "1 while the policy is not called because it kept failing.", policyLabels...)

	descTierInFlight = desc("tier_bulkhead_in_flight", "Places taken in the tier's bulkhead.", "tier")
	descTierLimit    = desc("tier_bulkhead_limit", "Places in the tier's bulkhead.", "tier")
	descTierQueued   = desc("tier_bulkhead_queued", "Exchanges waiting for a place in the tier's bulkhead.", "tier")
	descTierShed     = desc("tier_bulkhead_shed_total", "Exchanges refused because the tier was full.", "tier")
	descTierBreaker  = desc("tier_breaker_open", "1 while the tier's breaker sheds.", "tier")

	descUpstreamBreaker = desc("upstream_breaker_open", "1 while the upstream's breaker sheds.", "upstream")
	descHealthy         = desc("upstream_endpoint_healthy", "1 while the endpoint is given requests.", endpointLabels...)
	descEndpointFlight  = desc("upstream_endpoint_requests_in_flight", "Requests at the endpoint now.", endpointLabels...)
)

// snapshotCollector turns the source's snapshots into metrics. It is unchecked:
// what it describes depends on the manifest.
type snapshotCollector Metrics

// Describe says nothing (prometheus.Collector: an unchecked collector).
func (*snapshotCollector) Describe(chan<- *prometheus.Desc) {}

// Collect takes a snapshot.
func (c *snapshotCollector) Collect(ch chan<- prometheus.Metric) {
	source := c.source.Load()
	if source == nil {
		return
	}
	s := (*source)()
	e := emitter(ch)
	e.generation(&s.Generation)
	e.state(&s.State)
	e.cache(&s.Cache)
	for _, p := range sumPolicies(s.Policies) {
		e.policy(p)
	}
	for i := range s.Tiers {
		e.tier(&s.Tiers[i])
	}
	for i := range s.Upstreams {
		u := &s.Upstreams[i]
		e.gauge(descUpstreamBreaker, truth(u.BreakerOpen), u.Upstream)
	}
	for i := range s.Endpoints {
		p := &s.Endpoints[i]
		e.gauge(descHealthy, truth(p.Healthy), p.Upstream, p.Endpoint)
		e.gauge(descEndpointFlight, float64(p.InFlight), p.Upstream, p.Endpoint)
	}
}

type emitter chan<- prometheus.Metric

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (e emitter) counter(d *prometheus.Desc, v uint64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (e emitter) generation(g *Generation) {
	e.gauge(descGeneration, float64(g.Number))
	e.gauge(descSince, float64(g.Since.UnixMilli())/1000)
	e.gauge(descInFlight, float64(g.InFlight), "current")
	e.gauge(descInFlight, float64(g.DrainingInFlight), "draining")
	e.gauge(descDraining, float64(g.Draining))
}

func (e emitter) policy(p *PolicyState) {
	labels := []string{p.Tier, p.Stage, p.Policy, p.Version}
	e.gauge(descInstances, float64(p.Instances), labels...)
	e.gauge(descBusy, float64(p.Busy), labels...)
	e.gauge(descMemory, float64(p.MemoryBytes), labels...)
	e.counter(descCreated, p.Created, labels...)
	e.counter(descDiscarded, p.Discarded, labels...)
	e.gauge(descDown, float64(p.Down), labels...)
	e.counter(descWaits, p.Waits, labels...)
	e.counter(descOverloads, p.Overloads, labels...)
	e.counter(descLinesLost, p.LinesLost, labels...)
	e.counter(descTicks, p.Ticks, labels...)
	e.counter(descBackground, p.BackgroundFailures, labels...)
	e.gauge(descQuarantined, truth(p.Quarantined), labels...)
}

func (e emitter) tier(t *TierState) {
	e.gauge(descTierInFlight, float64(t.InFlight), t.Tier)
	e.gauge(descTierLimit, float64(t.Limit), t.Tier)
	e.gauge(descTierQueued, float64(t.Queued), t.Tier)
	e.counter(descTierShed, t.Shed, t.Tier)
	e.gauge(descTierBreaker, truth(t.BreakerOpen), t.Tier)
}

// sumPolicies adds up uses that have the same names: one policy used twice in a
// stage, or in a generation and in the one before it.
func sumPolicies(states []PolicyState) []*PolicyState {
	sums := make([]*PolicyState, 0, len(states))
	byKey := make(map[[4]string]*PolicyState, len(states))
	for i := range states {
		p := states[i]
		key := [4]string{p.Tier, p.Stage, p.Policy, p.Version}
		sum, seen := byKey[key]
		if !seen {
			byKey[key] = &p
			sums = append(sums, &p)
			continue
		}
		sum.Instances += p.Instances
		sum.Busy += p.Busy
		sum.MemoryBytes += p.MemoryBytes
		sum.Created += p.Created
		sum.Discarded += p.Discarded
		sum.Down += p.Down
		sum.Waits += p.Waits
		sum.Overloads += p.Overloads
		sum.LinesLost += p.LinesLost
		sum.Ticks += p.Ticks
		sum.BackgroundFailures += p.BackgroundFailures
		sum.Quarantined = sum.Quarantined || p.Quarantined
	}
	return sums
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
