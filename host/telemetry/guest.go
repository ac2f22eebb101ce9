package telemetry

import (
	"errors"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// MetricKind is what a guest's metric measures. The numbers are those of
// proxy-wasm.
type MetricKind uint8

// Kinds of guests' metrics.
const (
	MetricCounter   MetricKind = iota // goes up
	MetricGauge                       // is set, goes up and down
	MetricHistogram                   // counts observations by their size
)

// Bounds of what a policy can define.
const (
	MaxGuestMetrics    = 256 // for each use of a policy
	MaxGuestMetricName = 256 // bytes
)

// What functions of GuestMetrics refuse.
var (
	ErrMetricKind     = errors.New("the metric exists as one of another kind")
	ErrMetricsFull    = errors.New("the policy has as many metrics as it may have")
	ErrMetricArgument = errors.New("the metric does not take this value, kind or name")
	ErrMetricUnknown  = errors.New("no metric has this id")
)

// GuestMetrics are the metrics that a policy defines itself. All uses of a
// policy in one version count in the same series, so that no counter goes back
// when another configuration takes over; a series ends with the last use that
// defined it. Ids belong to the use, and hold for all of its instances. It is
// safe for concurrent use; its user closes it.
type GuestMetrics struct {
	group   *guestGroup
	metrics atomic.Pointer[[]*guestMetric] // by id; replaced whole

	mu  sync.Mutex // for defining
	ids map[string]uint32
}

// Guest returns the metrics of a use of a policy. With a nil Metrics they work
// and are exported nowhere.
func (m *Metrics) Guest(policy, version string) *GuestMetrics {
	var all *guestGroups
	if m != nil {
		all = &m.guests
	} else {
		all = new(guestGroups)
	}
	return &GuestMetrics{group: all.open(policy, version)}
}

// Define returns the id of the metric of that name, valid UTF-8 of 1 to
// MaxGuestMetricName bytes. The same name and kind have the same id. It fails
// with ErrMetricArgument, ErrMetricKind or ErrMetricsFull.
func (g *GuestMetrics) Define(kind MetricKind, name string) (id uint32, err error) {
	if kind > MetricHistogram || name == "" || len(name) > MaxGuestMetricName || !utf8.ValidString(name) {
		return 0, ErrMetricArgument
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	metrics := g.all()
	if id, known := g.ids[name]; known {
		if metrics[id].kind != kind {
			return 0, ErrMetricKind
		}
		return id, nil
	}
	if len(metrics) == MaxGuestMetrics {
		g.group.refused.Add(1)
		return 0, ErrMetricsFull
	}
	if g.ids == nil {
		g.ids = make(map[string]uint32)
	}
	made := g.group.define(guestKey{kind, strings.Clone(name)})
	id = uint32(len(metrics))
	g.ids[made.name] = id
	grown := append(metrics, made) // beyond the length that readers have
	g.metrics.Store(&grown)
	return id, nil
}

// all returns the metrics by id.
func (g *GuestMetrics) all() []*guestMetric {
	if metrics := g.metrics.Load(); metrics != nil {
		return *metrics
	}
	return nil
}

// find returns the metric of that id, nil if there is none.
func (g *GuestMetrics) find(id uint32) *guestMetric {
	if metrics := g.all(); int(id) < len(metrics) {
		return metrics[id]
	}
	return nil
}

// Add changes a counter by delta, which is positive, or a gauge by any. It
// fails with ErrMetricUnknown, or with ErrMetricArgument also for a histogram.
func (g *GuestMetrics) Add(id uint32, delta int64) error {
	m := g.find(id)
	switch {
	case m == nil:
		return ErrMetricUnknown
	case m.kind == MetricHistogram, m.kind == MetricCounter && delta <= 0:
		return ErrMetricArgument
	}
	m.value.Add(uint64(delta))
	return nil
}

// Record sets a gauge to value, adds it to a counter, or has a histogram
// observe it. Only a gauge takes a negative one; it fails as Add does.
func (g *GuestMetrics) Record(id uint32, value int64) error {
	m := g.find(id)
	switch {
	case m == nil:
		return ErrMetricUnknown
	case m.kind == MetricGauge:
		m.value.Store(uint64(value))
		return nil
	case value < 0:
		return ErrMetricArgument
	case m.kind == MetricHistogram:
		m.buckets[guestBucket(uint64(value))].Add(1)
	}
	m.value.Add(uint64(value))
	return nil
}

// Value returns what a counter or gauge has come to, a negative gauge as its
// two's complement. It fails with ErrMetricUnknown, or with ErrMetricArgument
// for a histogram.
func (g *GuestMetrics) Value(id uint32) (uint64, error) {
	m := g.find(id)
	switch {
	case m == nil:
		return 0, ErrMetricUnknown
	case m.kind == MetricHistogram:
		return 0, ErrMetricArgument
	}
	return m.value.Load(), nil
}

// Close gives the metrics back. Nobody uses g any more.
func (g *GuestMetrics) Close() { g.group.close(g.all()) }

// guestKey names a metric among those of a policy's version.
type guestKey struct {
	kind MetricKind
	name string
}

// guestMetric is one metric, shared by the uses that defined it.
type guestMetric struct {
	guestKey
	value   atomic.Uint64   // of a histogram: the sum
	buckets []atomic.Uint64 // of a histogram: guestBuckets of them
	users   int             // guarded by guestGroups.mu
}

// guestBuckets is how many buckets a histogram has: up to 1, 2, 4 and so on to
// 2^36, which is a minute in nanoseconds or 64 GiB, and one beyond.
const guestBuckets = 38

// guestBucket returns the index of the first power of two that is not below
// value.
func guestBucket(value uint64) int {
	if value <= 1 {
		return 0
	}
	return min(bits.Len64(value-1), guestBuckets-1)
}
