package telemetry

import (
	"io"
	"log/slog"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads the metrics as Prometheus would.
func scrape(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler(slog.New(slog.NewTextHandler(io.Discard, nil))).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// find returns the series of that name and labels ("k=v"), nil if there is none.
func find(families map[string]*dto.MetricFamily, name string, labels ...string) *dto.Metric {
	for _, m := range families[name].GetMetric() {
		if hasLabels(m, labels) {
			return m
		}
	}
	return nil
}

func hasLabels(m *dto.Metric, want []string) bool {
	has := make(map[string]bool)
	for _, l := range m.GetLabel() {
		has[l.GetName()+"="+l.GetValue()] = true
	}
	for _, w := range want {
		if !has[w] {
			return false
		}
	}
	return true
}

func TestREDIsExported(t *testing.T) {
	m := NewMetrics("1.2.3")
	red := m.Policy("edge", "authenticate", "api-key", "0.3.0")
	red.Begin()
	red.Begin()
	red.End(30*time.Microsecond, Answered)

	families := scrape(t, m)
	labels := []string{"tier=edge", "stage=authenticate", "policy=api-key", "version=0.3.0"}
	if got := find(families, "ergo_policy_calls_in_flight", labels...).GetGauge().GetValue(); got != 1 {
		t.Errorf("in flight: got %v, want 1", got)
	}
	for outcome, want := range map[string]float64{"answered": 1, "continued": 0} {
		got := find(families, "ergo_policy_calls_total", append(labels, "outcome="+outcome)...).GetCounter().GetValue()
		if got != want {
			t.Errorf("%s: got %v, want %v", outcome, got, want)
		}
	}
	h := find(families, "ergo_policy_call_duration_seconds", labels...).GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 30e-6 {
		t.Errorf("duration: got %v", h)
	}
	if find(families, "ergo_build_info", "version=1.2.3") == nil {
		t.Error("no build info")
	}
	if families["go_goroutines"] == nil {
		t.Error("no Go runtime metrics")
	}
}

func TestREDSeriesEndWithTheirLastUser(t *testing.T) {
	m := NewMetrics("test")
	old, next := m.Stage("edge", "mark"), m.Stage("edge", "mark")
	if old != next {
		t.Fatal("two generations count the same stage apart")
	}
	old.Begin()
	old.End(time.Millisecond, Continued)
	old.Close()
	if find(scrape(t, m), "ergo_stage_exchanges_total", "stage=mark") == nil {
		t.Fatal("the series ended while one generation still uses it")
	}
	next.Close()
	for name := range scrape(t, m) {
		if strings.HasPrefix(name, "ergo_stage") {
			t.Errorf("%s is left behind", name)
		}
	}
	again := m.Stage("edge", "mark")
	defer again.Close()
	if got := find(scrape(t, m), "ergo_stage_exchanges_total", "outcome=continued").GetCounter().GetValue(); got != 0 {
		t.Errorf("a new part begins with %v", got)
	}
}

func TestNilPartsRecordNothing(t *testing.T) {
	var m *Metrics
	for _, red := range []*RED{m.Listener("l"), m.Tier("t"), m.Stage("t", "s"), m.Policy("t", "s", "p", "v"), m.Upstream("u"), m.Outbound("p")} {
		red.Begin()
		red.End(time.Second, Failed)
		red.Close()
	}
	m.DroppedLines("host").Add(1)
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	red := NewMetrics("test").Listener("main")
	got := testing.AllocsPerRun(1000, func() {
		red.Begin()
		red.End(time.Millisecond, OfStatus(200))
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func TestBuckets(t *testing.T) {
	m := NewMetrics("test")
	red := m.Stage("edge", "mark")
	for _, d := range []time.Duration{0, time.Microsecond, time.Microsecond + 1, time.Second, time.Hour} {
		red.Begin()
		red.End(d, Continued)
	}
	h := find(scrape(t, m), "ergo_stage_exchange_duration_seconds", "stage=mark").GetHistogram()
	for bound, want := range map[float64]uint64{1e-6: 2, 2.5e-6: 3, .25: 3, 1: 4, math.Inf(1): 5} {
		for _, b := range h.GetBucket() {
			if b.GetUpperBound() == bound && b.GetCumulativeCount() != want {
				t.Errorf("up to %v: got %d, want %d", bound, b.GetCumulativeCount(), want)
			}
		}
	}
	if len(h.GetBucket()) != len(decisionBounds)+1 || h.GetSampleCount() != 5 {
		t.Errorf("got %d buckets, %d samples", len(h.GetBucket()), h.GetSampleCount())
	}
	for _, bounds := range [][]time.Duration{messageBounds, decisionBounds} {
		if !slices.IsSorted(bounds) || len(bounds) >= maxBuckets {
			t.Errorf("%v: out of order, or too many", bounds)
		}
	}
}

func TestOfStatus(t *testing.T) {
	for status, want := range map[int]Outcome{
		0: Failed, 99: Failed, 600: Failed,
		101: Informational, 200: Successful, 304: Redirection, 404: ClientError, 599: ServerError,
	} {
		if got := OfStatus(status); got != want {
			t.Errorf("%d: got %d, want %d", status, got, want)
		}
	}
}

func TestSnapshotIsReadAtScrape(t *testing.T) {
	m := NewMetrics("test")
	use := PolicyState{Tier: "edge", Stage: "s", Policy: "p", Version: "1", Instances: 2, MemoryBytes: 1024, Created: 7, Ticks: 90, BackgroundFailures: 1}
	state := Snapshot{
		Generation: Generation{Number: 4, Since: time.Unix(1000, 0), InFlight: 3, Draining: 1, DrainingInFlight: 2},
		Policies:   []PolicyState{use, use}, // one stage uses it twice
		Tiers:      []TierState{{Tier: "edge", InFlight: 5, Limit: 10, Shed: 6}},
		Upstreams:  []UpstreamState{{Upstream: "origin", BreakerOpen: true}},
		Endpoints:  []EndpointState{{Upstream: "origin", Endpoint: "127.0.0.1:9000", Healthy: true}},
	}
	m.SetSource(func() Snapshot { return state })
	families := scrape(t, m)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"ergo_generation_number", nil, 4},
		{"ergo_generation_start_time_seconds", nil, 1000},
		{"ergo_generation_exchanges_in_flight", []string{"state=current"}, 3},
		{"ergo_generation_exchanges_in_flight", []string{"state=draining"}, 2},
		{"ergo_generations_draining", nil, 1},
		{"ergo_policy_instances", []string{"policy=p"}, 4},
		{"ergo_policy_memory_bytes", []string{"policy=p"}, 2048},
		{"ergo_policy_instances_created_total", []string{"policy=p"}, 14},
		{"ergo_policy_ticks_total", []string{"policy=p", "version=1"}, 180},
		{"ergo_policy_background_failures_total", []string{"policy=p"}, 2},
		{"ergo_policy_quarantined", []string{"policy=p"}, 0},
		{"ergo_tier_bulkhead_in_flight", []string{"tier=edge"}, 5},
		{"ergo_tier_bulkhead_shed_total", []string{"tier=edge"}, 6},
		{"ergo_upstream_breaker_open", []string{"upstream=origin"}, 1},
		{"ergo_upstream_endpoint_healthy", []string{"endpoint=127.0.0.1:9000"}, 1},
	} {
		m := find(families, c.name, c.labels...)
		if m == nil {
			t.Errorf("%s%v is missing", c.name, c.labels)
			continue
		}
		if got := m.GetGauge().GetValue() + m.GetCounter().GetValue(); got != c.want {
			t.Errorf("%s%v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	state = Snapshot{}
	if find(scrape(t, m), "ergo_policy_instances") != nil {
		t.Error("a policy that is gone is still exported")
	}
}

func TestSwapsAreCounted(t *testing.T) {
	tel := &Telemetry{Metrics: NewMetrics("test")}
	tel.Swap("watch", "done")
	tel.Swap("watch", "refused")
	tel.Swap("watch", "refused")
	families := scrape(t, tel.Metrics)
	for result, want := range map[string]float64{"done": 1, "refused": 2} {
		if got := find(families, "ergo_swaps_total", "cause=watch", "result="+result).GetCounter().GetValue(); got != want {
			t.Errorf("%s: got %v, want %v", result, got, want)
		}
	}
	var none *Telemetry
	none.Swap("watch", "done")
	none.EndServer(request(), none.StartServer(request()))
}

func TestUpstreamEvents(t *testing.T) {
	m := NewMetrics("test")
	red := m.Upstream("origin")
	m.Retried("origin", "reset")
	m.Ejected("origin", "127.0.0.1:1", time.Second)
	m.HealthChanged("origin", "127.0.0.1:1", false)
	m.Waited("origin", time.Second)
	names := []string{"retries_total", "ejections_total", "health_changes_total", "connection_wait_seconds"}
	families := scrape(t, m)
	for _, name := range names {
		got := find(families, "ergo_upstream_"+name, "upstream=origin")
		if n := got.GetCounter().GetValue() + float64(got.GetHistogram().GetSampleCount()); n != 1 {
			t.Errorf("%s: got %v, want 1", name, n)
		}
	}
	red.Close()
	families = scrape(t, m)
	for _, name := range names {
		if find(families, "ergo_upstream_"+name) != nil {
			t.Errorf("%s outlives its upstream", name)
		}
	}
}

// TestPartsComeAndGoUnderLoad is for the race detector: generations open and
// close parts while exchanges record and Prometheus reads.
func TestPartsComeAndGoUnderLoad(t *testing.T) {
	m := NewMetrics("test")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				red := m.Tier("edge")
				red.Begin()
				red.End(time.Microsecond, Continued)
				red.Close()
			}
		})
	}
	for range 20 {
		if _, err := m.registry.Gather(); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if n := len(m.tiers.parts); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

func TestOpenMetricsForWhoAsks(t *testing.T) {
	for accept, want := range map[string]bool{"": false, "application/openmetrics-text; version=1.0.0": true} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/metrics", nil)
		req.Header.Set("Accept", accept)
		NewMetrics("test").Handler(slog.New(slog.DiscardHandler)).ServeHTTP(rec, req)
		if got := strings.HasSuffix(rec.Body.String(), "# EOF\n"); got != want {
			t.Errorf("%q: got OpenMetrics %v, want %v", accept, got, want)
		}
	}
}
