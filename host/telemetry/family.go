package telemetry

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// family is the RED of all parts of one kind: three metrics, and one RED for
// each set of label values that is in use.
type family struct {
	outcomes []string
	inFlight *prometheus.GaugeVec
	duration *prometheus.HistogramVec
	total    *prometheus.CounterVec
	gone     func(labels []string) // told of the end of a part; may be nil

	mu    sync.Mutex
	parts map[string]*RED // by joined label values
}

// kind says how a family is named and cut.
type kind struct {
	noun     string // "listener", for ergo_listener_...
	event    string // "request", for ..._requests_total
	labels   []string
	outcomes []string
	buckets  []float64
}

func newFamily(reg prometheus.Registerer, k kind) *family {
	name := "ergo_" + k.noun + "_" + k.event
	f := &family{
		outcomes: k.outcomes,
		parts:    make(map[string]*RED),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: name + "s_in_flight", Help: "The " + k.noun + "'s " + k.event + "s going on now.",
		}, k.labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name + "_duration_seconds", Help: "How long the " + k.noun + "'s " + k.event + "s took.",
			Buckets: k.buckets,
		}, k.labels),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name + "s_total", Help: "The " + k.noun + "'s " + k.event + "s that ended, by outcome.",
		}, append(slices.Clone(k.labels), "outcome")),
	}
	reg.MustRegister(f.inFlight, f.duration, f.total)
	return f
}

// open returns the RED for the label values; its user closes it.
func (f *family) open(labels ...string) *RED {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := partKey(labels)
	r := f.parts[key]
	if r == nil {
		r = f.newPart(labels)
		f.parts[key] = r
	}
	r.users++
	return r
}

func (f *family) newPart(labels []string) *RED {
	r := &RED{
		inFlight: f.inFlight.WithLabelValues(labels...),
		duration: f.duration.WithLabelValues(labels...),
		family:   f,
		labels:   labels,
	}
	for _, outcome := range f.outcomes {
		r.outcomes = append(r.outcomes, f.total.WithLabelValues(append(slices.Clone(labels), outcome)...))
	}
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
	f.inFlight.DeleteLabelValues(r.labels...)
	f.duration.DeleteLabelValues(r.labels...)
	for _, outcome := range f.outcomes {
		f.total.DeleteLabelValues(append(slices.Clone(r.labels), outcome)...)
	}
	if f.gone != nil {
		f.gone(r.labels)
	}
}

// partKey joins label values by a byte that is in no name.
func partKey(labels []string) string { return strings.Join(labels, "\x00") }
