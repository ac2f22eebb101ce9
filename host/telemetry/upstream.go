package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// upstreamEvents counts what happens at upstreams besides requests.
type upstreamEvents struct {
	retries   *prometheus.CounterVec
	ejections *prometheus.CounterVec
	changes   *prometheus.CounterVec
	waits     *prometheus.HistogramVec
}

func newUpstreamEvents(reg prometheus.Registerer) upstreamEvents {
	e := upstreamEvents{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_upstream_retries_total", Help: "Tries after a failed one, by why it failed.",
		}, []string{"upstream", "cause"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_upstream_ejections_total", Help: "Endpoints taken out for how their requests ended.",
		}, []string{"upstream"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_upstream_health_changes_total", Help: "Endpoints that active checks found ill, or well again.",
		}, []string{"upstream", "healthy"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ergo_upstream_connection_wait_seconds", Help: "How long requests waited that found no free connection.",
			Buckets: seconds(messageBounds),
		}, []string{"upstream"}),
	}
	reg.MustRegister(e.retries, e.ejections, e.changes, e.waits)
	return e
}

// forget ends the series of an upstream that is gone.
func (e *upstreamEvents) forget(labels []string) {
	gone := prometheus.Labels{"upstream": labels[0]}
	e.retries.DeletePartialMatch(gone)
	e.ejections.DeletePartialMatch(gone)
	e.changes.DeletePartialMatch(gone)
	e.waits.DeletePartialMatch(gone)
}

// Retried counts a try that follows a failed one; cause is an exchange.Cause or
// another fixed word.
func (m *Metrics) Retried(upstream, cause string) {
	m.events.retries.WithLabelValues(upstream, cause).Inc()
}

// Ejected counts an endpoint taken out for how its requests ended.
func (m *Metrics) Ejected(upstream, _ string, _ time.Duration) {
	m.events.ejections.WithLabelValues(upstream).Inc()
}

// HealthChanged counts what active checks found.
func (m *Metrics) HealthChanged(upstream, _ string, healthy bool) {
	m.events.changes.WithLabelValues(upstream, strconv.FormatBool(healthy)).Inc()
}

// Waited measures how long a request was without a connection.
func (m *Metrics) Waited(upstream string, length time.Duration) {
	m.events.waits.WithLabelValues(upstream).Observe(length.Seconds())
}

func seconds(bounds []time.Duration) []float64 {
	values := make([]float64, len(bounds))
	for i, bound := range bounds {
		values[i] = bound.Seconds()
	}
	return values
}
