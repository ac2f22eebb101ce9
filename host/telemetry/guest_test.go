package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
)

// define defines a metric that is not refused.
func define(t testing.TB, g *GuestMetrics, kind MetricKind, name string) uint32 {
	t.Helper()
	id, err := g.Define(kind, name)
	if err != nil {
		t.Fatalf("define %s: %v", name, err)
	}
	return id
}

func TestGuestMetricsFollowTheABI(t *testing.T) {
	g := NewMetrics("test").Guest("limit", "1.0.0")
	defer g.Close()
	counter := define(t, g, MetricCounter, "hits")
	gauge := define(t, g, MetricGauge, "depth")
	histogram := define(t, g, MetricHistogram, "size")
	const add, record = "add", "record"
	for _, c := range []struct {
		does  string
		id    uint32
		value int64
		err   error
		want  uint64 // the metric's value after it
	}{
		{add, counter, 2, nil, 2},
		{add, counter, 0, ErrMetricArgument, 2},
		{add, counter, -1, ErrMetricArgument, 2},
		{record, counter, 3, nil, 5},
		{record, counter, 0, nil, 5},
		{record, counter, -3, ErrMetricArgument, 5},
		{add, gauge, -2, nil, math.MaxUint64 - 1},
		{add, gauge, 3, nil, 1},
		{record, gauge, -7, nil, math.MaxUint64 - 6},
		{record, gauge, 9, nil, 9},
		{add, histogram, 1, ErrMetricArgument, 0},
		{record, histogram, 1, nil, 0},
		{record, histogram, -1, ErrMetricArgument, 0},
		{add, 3, 1, ErrMetricUnknown, 0},
		{record, math.MaxUint32, 1, ErrMetricUnknown, 0},
	} {
		call := g.Add
		if c.does == record {
			call = g.Record
		}
		if err := call(c.id, c.value); !errors.Is(err, c.err) {
			t.Errorf("%s(%d, %d): got %v, want %v", c.does, c.id, c.value, err, c.err)
		}
		if got, _ := g.Value(c.id); got != c.want {
			t.Errorf("%s(%d, %d): the value is %d, want %d", c.does, c.id, c.value, got, c.want)
		}
	}
	if _, err := g.Value(histogram); !errors.Is(err, ErrMetricArgument) {
		t.Errorf("value of a histogram: got %v, want %v", err, ErrMetricArgument)
	}
	if _, err := g.Value(3); !errors.Is(err, ErrMetricUnknown) {
		t.Errorf("value of none: got %v, want %v", err, ErrMetricUnknown)
	}
}

func TestGuestMetricsAreDefinedOnce(t *testing.T) {
	m := NewMetrics("test")
	g := m.Guest("limit", "1.0.0")
	defer g.Close()
	first := define(t, g, MetricCounter, "hits")
	if again := define(t, g, MetricCounter, "hits"); again != first {
		t.Errorf("the same metric is %d and %d", first, again)
	}
	for _, c := range []struct {
		kind MetricKind
		name string
		want error
	}{
		{MetricGauge, "hits", ErrMetricKind},
		{3, "kind", ErrMetricArgument},
		{MetricGauge, "", ErrMetricArgument},
		{MetricGauge, "\xff", ErrMetricArgument},
		{MetricGauge, strings.Repeat("n", MaxGuestMetricName+1), ErrMetricArgument},
		{MetricGauge, strings.Repeat("n", MaxGuestMetricName), nil},
	} {
		if _, err := g.Define(c.kind, c.name); !errors.Is(err, c.want) {
			t.Errorf("%d %.20q: got %v, want %v", c.kind, c.name, err, c.want)
		}
	}
	for i := range MaxGuestMetrics - 2 {
		define(t, g, MetricCounter, fmt.Sprint(i))
	}
	for range 3 {
		if _, err := g.Define(MetricCounter, "one more"); !errors.Is(err, ErrMetricsFull) {
			t.Errorf("got %v, want %v", err, ErrMetricsFull)
		}
	}
	if again := define(t, g, MetricCounter, "hits"); again != first {
		t.Errorf("full: the same metric is %d and %d", first, again)
	}
	refused := find(scrape(t, m), "ergo_policy_metrics_refused_total", "policy=limit", "version=1.0.0")
	if got := refused.GetCounter().GetValue(); got != 3 {
		t.Errorf("%v definitions were refused, want 3", got)
	}
}

func TestGuestMetricsAreExported(t *testing.T) {
	m := NewMetrics("test")
	g := m.Guest("limit", "1.0.0")
	for i, metric := range []guestKey{
		{MetricCounter, "hits"}, {MetricCounter, "hits_total"}, {MetricCounter, "hits.total"},
		{MetricGauge, "größe"}, {MetricGauge, "gr  e"}, {MetricGauge, "7\n\x00"},
	} {
		if err := g.Record(define(t, g, metric.kind, metric.name), int64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	other := m.Guest("other", "1.0.0")
	if err := other.Record(define(t, other, MetricGauge, "hits"), -5); err != nil {
		t.Fatal(err)
	}
	families := scrape(t, m)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"ergo_guest_counter_hits_total", []string{"policy=limit", "version=1.0.0", "name=hits"}, 1},
		{"ergo_guest_counter_hits_total", nil, 2},
		{"ergo_guest_counter_hits_total", []string{"name=hits.total"}, 3},
		{"ergo_guest_gauge_gr__e", []string{"name=größe"}, 4},
		{"ergo_guest_gauge_gr__e", []string{"name=gr  e"}, 5},
		{"ergo_guest_gauge_7__", []string{"name=7\n\x00"}, 6},
		{"ergo_guest_gauge_hits", []string{"policy=other"}, -5},
	} {
		var found []float64
		for _, series := range families[c.name].GetMetric() {
			if hasLabels(series, c.labels) && (c.labels != nil || len(series.GetLabel()) == 2) {
				found = append(found, series.GetCounter().GetValue()+series.GetGauge().GetValue())
			}
		}
		if len(found) != 1 || found[0] != c.want {
			t.Errorf("%s%v: got %v, want %v", c.name, c.labels, found, c.want)
		}
	}
	g.Close()
	other.Close()
	for name := range scrape(t, m) {
		if strings.HasPrefix(name, "ergo_guest_") || strings.HasPrefix(name, "ergo_policy_metrics") {
			t.Errorf("%s outlives its policy", name)
		}
	}
}

func TestGuestHistogram(t *testing.T) {
	m := NewMetrics("test")
	g := m.Guest("limit", "1.0.0")
	defer g.Close()
	for _, name := range []string{"size", "size_count", "size_count_"} {
		id := define(t, g, MetricHistogram, name)
		for _, value := range []int64{0, 1, 2, 3, 4, 5, 1 << 36, 1<<36 + 1} {
			if err := g.Record(id, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	families := scrape(t, m)
	h := find(families, "ergo_guest_histogram_size", "policy=limit").GetHistogram()
	if h.GetSampleCount() != 8 || h.GetSampleSum() != 1<<37+16 {
		t.Errorf("got %d samples that add up to %v", h.GetSampleCount(), h.GetSampleSum())
	}
	want := map[float64]uint64{1: 2, 2: 3, 4: 5, 8: 6, 1 << 35: 6, 1 << 36: 7, math.Inf(1): 8}
	for _, b := range h.GetBucket() {
		if count, checked := want[b.GetUpperBound()]; checked && b.GetCumulativeCount() != count {
			t.Errorf("up to %v: got %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), count)
		}
	}
	if len(h.GetBucket()) != guestBuckets {
		t.Errorf("got %d buckets, want %d", len(h.GetBucket()), guestBuckets)
	}
	for name, labels := range map[string][]string{"size_count_": {"name=size_count"}, "size_count": nil} {
		if got := find(families, "ergo_guest_histogram_"+name, labels...); labels != nil && got == nil {
			t.Errorf("%s%v is missing", name, labels)
		} else if labels == nil && got != nil {
			t.Errorf("%s is there: it could be a series of another", name)
		}
	}
}

// A policy whose configuration changed is another use of the same policy: its
// counters go on, and what only the former one defined ends with it.
func TestGuestCountersGoOnWithAnotherConfiguration(t *testing.T) {
	m := NewMetrics("test")
	value := func() float64 {
		return find(scrape(t, m), "ergo_guest_counter_hits_total", "policy=limit").GetCounter().GetValue()
	}
	before := m.Guest("limit", "1.0.0")
	define(t, before, MetricCounter, "gone_total")
	id := define(t, before, MetricCounter, "hits")
	if err := before.Add(id, 5); err != nil {
		t.Fatal(err)
	}
	after := m.Guest("limit", "1.0.0")
	define(t, after, MetricGauge, "gone_total") // another kind, now
	if err := after.Add(define(t, after, MetricCounter, "hits"), 2); err != nil {
		t.Fatal(err)
	}
	if got := value(); got != 7 {
		t.Errorf("got %v, want 7", got)
	}
	before.Close()
	if got := value(); got != 7 {
		t.Errorf("after the former use: got %v, want 7", got)
	}
	if find(scrape(t, m), "ergo_guest_counter_gone_total") != nil {
		t.Error("a metric outlives the use that defined it")
	}
	after.Close()
	if len(m.guests.groups) != 0 {
		t.Errorf("%d groups are left", len(m.guests.groups))
	}
}

func TestGuestMetricsWithoutExport(t *testing.T) {
	g := (*Metrics)(nil).Guest("limit", "")
	defer g.Close()
	id := define(t, g, MetricCounter, "hits")
	if err := g.Add(id, 3); err != nil {
		t.Fatal(err)
	}
	if got, err := g.Value(id); got != 3 || err != nil {
		t.Errorf("got %d, %v, want 3", got, err)
	}
}

func TestGuestMetricsReachOTLP(t *testing.T) {
	m := NewMetrics("test")
	g := m.Guest("limit", "1.0.0")
	defer g.Close()
	define(t, g, MetricCounter, "hits")
	define(t, g, MetricHistogram, "size")
	scopes, err := bridge.NewMetricProducer(bridge.WithGatherer(m.registry)).Produce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, scope := range scopes {
		for _, metric := range scope.Metrics {
			found[metric.Name] = true
		}
	}
	for _, name := range []string{"ergo_guest_counter_hits_total", "ergo_guest_histogram_size"} {
		if !found[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestGuestMetricsDoNotAllocate(t *testing.T) {
	g := NewMetrics("test").Guest("limit", "1.0.0")
	defer g.Close()
	counter, histogram := define(t, g, MetricCounter, "hits"), define(t, g, MetricHistogram, "size")
	got := testing.AllocsPerRun(1000, func() {
		_ = g.Add(counter, 1)
		_ = g.Record(histogram, 1000)
		_, _ = g.Value(counter)
		_, _ = g.Define(MetricCounter, "hits")
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// TestGuestMetricsHammer has uses come, define, count and go while Prometheus
// reads.
func TestGuestMetricsHammer(t *testing.T) {
	m := NewMetrics("test")
	kept := m.Guest("limit", "1.0.0")
	define(t, kept, MetricCounter, "shared 0")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				g := m.Guest("limit", "1.0.0")
				var uses sync.WaitGroup
				for range 2 {
					uses.Go(func() { countAll(t, g) })
				}
				uses.Wait()
				g.Close()
			}
		})
	}
	for range 20 {
		if _, err := m.registry.Gather(); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if got, _ := kept.Value(0); got != 4*50*2 {
		t.Errorf("got %d, want %d", got, 4*50*2)
	}
	if n := len(m.guests.groups[[2]string{"limit", "1.0.0"}].metrics); n != 1 {
		t.Errorf("%d metrics are left, want 1", n)
	}
	kept.Close()
}

func countAll(t *testing.T, g *GuestMetrics) {
	for i := range 6 {
		id, err := g.Define(MetricKind(i%3), fmt.Sprint("shared ", i))
		if err == nil {
			err = g.Record(id, 1)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// FuzzGuestNames defines two metrics of any names and kinds and has them
// exported.
func FuzzGuestNames(f *testing.F) {
	f.Add(uint8(0), "hits", uint8(0), "hits_total")
	f.Add(uint8(0), "hits", uint8(1), "hits")
	f.Add(uint8(2), "size", uint8(2), "size_count")
	f.Add(uint8(2), "größe", uint8(1), "7\n\x00\"\\")
	f.Add(uint8(0), "a.b", uint8(0), "a-b")
	f.Fuzz(func(t *testing.T, kind uint8, name string, otherKind uint8, otherName string) {
		m := NewMetrics("test")
		uses := [...]*GuestMetrics{m.Guest("limit", "1"), m.Guest("other", "1")}
		wanted := 0
		for i, key := range []guestKey{{MetricKind(kind % 3), name}, {MetricKind(otherKind % 3), otherName}} {
			for _, g := range uses[i:] { // two of the second policy, one of the first
				if _, err := g.Define(key.kind, key.name); err == nil {
					wanted++
				} else if utf8.ValidString(key.name) && key.name != "" && len(key.name) <= MaxGuestMetricName && !errors.Is(err, ErrMetricKind) {
					t.Errorf("%q: %v", key.name, err)
				}
			}
		}
		if name == otherName && kind%3 == otherKind%3 && wanted > 0 {
			wanted-- // defined twice by the second policy
		}
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatalf("%q and %q: %v", name, otherName, err)
		}
		got := 0
		for _, family := range families {
			if strings.HasPrefix(family.GetName(), "ergo_guest_") {
				got += len(family.GetMetric())
			}
		}
		if got != wanted {
			t.Errorf("%q and %q: %d series, want %d", name, otherName, got, wanted)
		}
	})
}
