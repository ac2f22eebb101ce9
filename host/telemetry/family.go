package telemetry

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxBuckets is how many buckets a family has at most, the last one included.
const maxBuckets = 20

// family is the RED of all parts of one kind: three metrics, and one RED for
// each set of label values that is in use. It is a prometheus.Collector.
type family struct {
	outcomes []string
	bounds   []time.Duration       // ascending, fewer than maxBuckets
	gone     func(labels []string) // told of the end of a part; may be nil

	inFlight, duration, total *prometheus.Desc

	mu    sync.Mutex
	parts map[string]*RED // by joined label values
}

// kind says how a family is named and cut.
type kind struct {
	noun     string // "listener", for ergo_listener_...
	event    string // "request", for ..._requests_total
	labels   []string
	outcomes []string
	bounds   []time.Duration
}

func newFamily(reg prometheus.Registerer, k kind) *family {
	name := k.noun + "_" + k.event
	f := &family{
		outcomes: k.outcomes,
		bounds:   k.bounds,
		parts:    make(map[string]*RED),
		inFlight: desc(name+"s_in_flight", "The "+k.noun+"'s "+k.event+"s going on now.", k.labels...),
		duration: desc(name+"_duration_seconds", "How long the "+k.noun+"'s "+k.event+"s took.", k.labels...),
		total: desc(name+"s_total", "The "+k.noun+"'s "+k.event+"s that ended, by outcome.",
			append(slices.Clone(k.labels), "outcome")...),
	}
	reg.MustRegister(f)
	return f
}

// bucket returns the index of the first bound that d does not exceed.
func (f *family) bucket(d time.Duration) int {
	low, high := 0, len(f.bounds)
	for low < high {
		if middle := int(uint(low+high) >> 1); f.bounds[middle] < d {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// open returns the RED for the label values; its user closes it.
func (f *family) open(labels ...string) *RED {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := partKey(labels)
	r := f.parts[key]
	if r == nil {
		r = newRED(f, labels)
		f.parts[key] = r
	}
	r.users++
	return r
}

func (f *family) close(r *RED) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.users--
	if r.users > 0 {
		return
	}
	delete(f.parts, partKey(r.labels))
	if f.gone != nil {
		f.gone(r.labels)
	}
}

// partKey joins label values by a byte that is in no name.
func partKey(labels []string) string { return strings.Join(labels, "\x00") }

// Describe follows prometheus.Collector.
func (f *family) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.inFlight
	ch <- f.duration
	ch <- f.total
}

// Collect follows prometheus.Collector.
func (f *family) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	parts := make([]*RED, 0, len(f.parts))
	for _, r := range f.parts {
		parts = append(parts, r)
	}
	f.mu.Unlock()
	for _, r := range parts {
		f.collect(r, emitter(ch))
	}
}

func (f *family) collect(r *RED, e emitter) {
	sum := r.totals()
	labels := append(slices.Clone(r.labels), "")
	for i, outcome := range f.outcomes {
		labels[len(labels)-1] = outcome
		e.counter(f.total, sum.outcomes[i], labels...)
	}
	cumulative, count := make(map[float64]uint64, len(f.bounds)), uint64(0)
	for i, bound := range f.bounds {
		count += sum.buckets[i]
		cumulative[bound.Seconds()] = count
	}
	count += sum.buckets[len(f.bounds)]
	e <- prometheus.MustNewConstHistogram(f.duration, count, time.Duration(sum.nanos).Seconds(), cumulative, r.labels...)
	e.gauge(f.inFlight, float64(sum.begun-sum.ended), r.labels...)
}
