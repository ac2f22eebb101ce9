package telemetry

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// guestGroups are the metrics of all guests, by policy and version. It is an
// unchecked prometheus.Collector: what it collects is the guests' choice.
type guestGroups struct {
	mu     sync.Mutex
	groups map[[2]string]*guestGroup
}

// guestGroup is the metrics of a policy's version.
type guestGroup struct {
	all             *guestGroups
	policy, version string
	refused         atomic.Uint64

	metrics map[guestKey]*guestMetric // guarded by guestGroups.mu, as is users
	users   int
}

func (s *guestGroups) open(policy, version string) *guestGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[[2]string{policy, version}]
	if g == nil {
		g = &guestGroup{all: s, policy: policy, version: version, metrics: make(map[guestKey]*guestMetric)}
		if s.groups == nil {
			s.groups = make(map[[2]string]*guestGroup)
		}
		s.groups[[2]string{policy, version}] = g
	}
	g.users++
	return g
}

// define returns the metric of that key with one more user.
func (g *guestGroup) define(key guestKey) *guestMetric {
	g.all.mu.Lock()
	defer g.all.mu.Unlock()
	m := g.metrics[key]
	if m == nil {
		m = &guestMetric{guestKey: key}
		if key.kind == MetricHistogram {
			m.buckets = make([]atomic.Uint64, guestBuckets)
		}
		g.metrics[key] = m
	}
	m.users++
	return m
}

// close ends a user of the group and of these metrics.
func (g *guestGroup) close(metrics []*guestMetric) {
	g.all.mu.Lock()
	defer g.all.mu.Unlock()
	for _, m := range metrics {
		if m.users--; m.users == 0 {
			delete(g.metrics, m.guestKey)
		}
	}
	if g.users--; g.users == 0 {
		delete(g.all.groups, [2]string{g.policy, g.version})
	}
}

var descGuestRefused = desc("policy_metrics_refused_total",
	"Metrics that a policy wanted to define beyond its limit.", "policy", "version")

// Describe says nothing (prometheus.Collector: an unchecked collector).
func (*guestGroups) Describe(chan<- *prometheus.Desc) {}

// Collect follows prometheus.Collector.
func (s *guestGroups) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	var collected []prometheus.Metric // sent without the lock
	for _, g := range s.groups {
		collected = append(collected, prometheus.MustNewConstMetric(descGuestRefused,
			prometheus.CounterValue, float64(g.refused.Load()), g.policy, g.version))
		for _, m := range g.metrics {
			collected = append(collected, m.read(g))
		}
	}
	s.mu.Unlock()
	for _, m := range collected {
		ch <- m
	}
}

// read returns the metric as it stands.
func (m *guestMetric) read(g *guestGroup) prometheus.Metric {
	name, help := guestName(m.guestKey)
	labels, values := []string{"policy", "version"}, []string{g.policy, g.version}
	if name != guestPrefix[m.kind]+m.name {
		labels, values = append(labels, "name"), append(values, m.name)
	}
	d := desc(name, help, labels...)
	switch m.kind {
	case MetricCounter:
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(m.value.Load()), values...)
	case MetricGauge:
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(int64(m.value.Load())), values...)
	}
	cumulative, count := make(map[float64]uint64, guestBuckets), uint64(0)
	for i := range m.buckets {
		count += m.buckets[i].Load()
		if i < guestBuckets-1 {
			cumulative[float64(uint64(1)<<i)] = count
		}
	}
	return prometheus.MustNewConstHistogram(d, count, float64(m.value.Load()), cumulative, values...)
}

// guestPrefix are the first words of exported names, by kind: no name may be
// that of two kinds, whichever policies define them.
var guestPrefix = [...]string{
	MetricCounter: "guest_counter_", MetricGauge: "guest_gauge_", MetricHistogram: "guest_histogram_",
}

var guestHelp = [...]string{
	MetricCounter:   "A counter that policies defined.",
	MetricGauge:     "A gauge that policies defined.",
	MetricHistogram: "A histogram that policies defined.",
}

// guestName returns what a guest's metric is called, without "ergo_". Several
// may be called the same: where it is not what the guest calls it, a label has
// the guest's name and tells them apart.
func guestName(key guestKey) (name, help string) {
	name = guestPrefix[key.kind] + strings.Map(nameRune, key.name)
	switch key.kind {
	case MetricCounter:
		if !strings.HasSuffix(name, "_total") { // OpenMetrics would add it
			name += "_total"
		}
	case MetricHistogram:
		for _, suffix := range [...]string{"_bucket", "_count", "_sum"} {
			if strings.HasSuffix(name, suffix) { // it could be a series of another histogram
				name += "_"
			}
		}
	}
	return name, guestHelp[key.kind]
}

// nameRune replaces what Prometheus has not in names.
func nameRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
