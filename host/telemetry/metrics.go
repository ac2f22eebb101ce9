package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the histograms. What waits for a network is measured as
// OpenTelemetry's HTTP conventions say, and a little finer; what computes, from a
// microsecond.
var (
	messageBounds  = milliseconds(1, 2.5, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
	decisionBounds = milliseconds(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000)
)

func milliseconds(values ...float64) []time.Duration {
	bounds := make([]time.Duration, len(values))
	for i, v := range values {
		bounds[i] = time.Duration(v * float64(time.Millisecond))
	}
	return bounds
}

// Metrics holds every metric of the host. The values of all labels come from
// the manifest or are listed in this package, so that no client can make the
// number of series grow. It is safe for concurrent use. A nil *Metrics hands out
// nil parts, which record nothing.
type Metrics struct {
	registry *prometheus.Registry

	listeners, tiers, stages, policies, upstreams, calls *family

	guests  guestGroups
	events  upstreamEvents
	swaps   *prometheus.CounterVec
	dropped *prometheus.CounterVec
	exports *prometheus.CounterVec
	source  atomic.Pointer[func() Snapshot]
}

// NewMetrics returns metrics of a host of this version, exported nowhere yet.
func NewMetrics(version string) *Metrics {
	reg := prometheus.NewRegistry()
	m := &Metrics{
		registry: reg,
		listeners: newFamily(reg, kind{"listener", "request",
			[]string{"listener"}, messageOutcomes[:], messageBounds}),
		tiers: newFamily(reg, kind{"tier", "exchange",
			[]string{"tier"}, decisionOutcomes[:], messageBounds}),
		stages: newFamily(reg, kind{"stage", "exchange",
			[]string{"tier", "stage"}, decisionOutcomes[:], decisionBounds}),
		policies: newFamily(reg, kind{"policy", "call",
			[]string{"tier", "stage", "policy", "version"}, decisionOutcomes[:], decisionBounds}),
		upstreams: newFamily(reg, kind{"upstream", "request",
			[]string{"upstream"}, messageOutcomes[:], messageBounds}),
		calls: newFamily(reg, kind{"outbound", "call",
			[]string{"policy"}, callOutcomes[:], messageBounds}),
		swaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_swaps_total", Help: "Attempts to change the generation, by cause and result.",
		}, []string{"cause", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_log_lines_dropped_total", Help: "Log lines lost to a rate limit or to a slow reader, by their source.",
		}, []string{"source"}),
		exports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergo_otlp_exports_total", Help: "Batches sent to the OTLP collector, by signal and result.",
		}, []string{"signal", "result"}),
	}
	m.events = newUpstreamEvents(reg)
	m.upstreams.gone = m.events.forget
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ergo_build_info", Help: "1, with what was built.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(m.swaps, m.dropped, m.exports, build, (*snapshotCollector)(m), &m.guests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Listener returns the RED of a listener's requests; outcomes are Informational
// to Failed. This and the other parts are closed by their user.
func (m *Metrics) Listener(name string) *RED {
	if m == nil {
		return nil
	}
	return m.listeners.open(name)
}

// Tier returns the RED of a tier's stay of exchanges; outcomes are Continued to
// Quarantined.
func (m *Metrics) Tier(tier string) *RED {
	if m == nil {
		return nil
	}
	return m.tiers.open(tier)
}

// Stage returns the RED of a stage; outcomes as of a tier.
func (m *Metrics) Stage(tier, stage string) *RED {
	if m == nil {
		return nil
	}
	return m.stages.open(tier, stage)
}

// Policy returns the RED of a policy's calls; outcomes as of a tier.
func (m *Metrics) Policy(tier, stage, policy, version string) *RED {
	if m == nil {
		return nil
	}
	return m.policies.open(tier, stage, policy, version)
}

// Upstream returns the RED of requests to an upstream; outcomes as of a
// listener.
func (m *Metrics) Upstream(name string) *RED {
	if m == nil {
		return nil
	}
	return m.upstreams.open(name)
}

// Outbound returns the RED of the calls that a policy makes; outcomes are Responded
// to CallFailed.
func (m *Metrics) Outbound(policy string) *RED {
	if m == nil {
		return nil
	}
	return m.calls.open(policy)
}

// DroppedLines counts log lines lost; source is "access" or "host".
func (m *Metrics) DroppedLines(source string) *Counter {
	if m == nil {
		return nil
	}
	return &Counter{m.dropped.WithLabelValues(source)}
}

// Counter counts up. A nil *Counter counts nothing.
type Counter struct{ c prometheus.Counter }

// Add adds n.
func (c *Counter) Add(n int) {
	if c != nil {
		c.c.Add(float64(n))
	}
}

// Handler serves the metrics as Prometheus text or OpenMetrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            errorLog{log},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
	})
}

// errorLog is what promhttp logs to.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Error("serve metrics", "err", v) }
