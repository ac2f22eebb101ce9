package capability

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

func newMetrics(t testing.TB) *relay {
	t.Helper()
	metrics := telemetry.NewMetrics("test").Guest("p", "1.0.0")
	t.Cleanup(metrics.Close)
	r := newRelay(t, Metric(), &policy.Granted{Metrics: metrics})
	r.instance.Call().Exchange = nil // a guest defines and counts also while it starts
	return r
}

func TestMetric(t *testing.T) {
	r := newMetrics(t)
	r.want(ok, "define", 0, "hits", 512)
	r.want(ok, "define", 1, "depth", 516)
	r.want(ok, "define", 2, "size", 520)
	r.want(ok, "define", 1, "depth", 524)
	if got, want := r.memory(512, 16), "\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00"; got != want {
		t.Errorf("ids: got %q, want %q", got, want)
	}
	r.want(ok, "add", 0, int64(300))
	r.want(ok, "record", 0, int64(1))
	r.want(ok, "add", 1, int64(-2))
	r.want(ok, "record", 2, int64(7))
	r.want(ok, "value", 0, 512)
	r.want(ok, "value", 1, 520)
	if got, want := r.memory(512, 16), "\x2d\x01\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff"; got != want {
		t.Errorf("values: got %q, want %q", got, want)
	}
}

func TestMetricRefuses(t *testing.T) {
	r := newMetrics(t)
	r.want(ok, "define", 0, "hits", 512)
	r.want(taken, "define", 1, "hits", 512)
	r.want(badArgument, "define", 3, "kind", 512)
	r.want(badArgument, "define", 256, "kind", 512)
	r.want(badArgument, "define", 0, "", 512)
	r.want(badArgument, "define", 0, strings.Repeat("n", telemetry.MaxGuestMetricName+1), 512)
	r.want(badArgument, "add", 0, int64(0))
	r.want(notFound, "add", 1, int64(1))
	r.want(notFound, "record", -1, int64(1))
	r.want(notFound, "value", 1, 512)
	for i := range telemetry.MaxGuestMetrics - 1 {
		r.want(ok, "define", 2, strings.Repeat("n", i+1), 512)
	}
	r.want(noRoom, "define", 2, "more", 512)
	r.want(badArgument, "value", 1, 512)
}

func TestMetricAllocatesNothing(t *testing.T) {
	r := newMetrics(t)
	r.want(ok, "define", 0, "hits", 512)
	add := r.instance.Function("add")
	var stack [2]uint64
	got := testing.AllocsPerRun(100, func() {
		stack = [2]uint64{0, 1}
		_ = r.instance.Invoke(add, stack[:])
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func FuzzMetric(f *testing.F) {
	f.Add(uint8(0), uint64(0), uint64(1024), uint64(4), uint64(512), []byte("hits"))
	f.Add(uint8(0), uint64(2), uint64(1024), uint64(4), uint64(1026), []byte("over"))
	f.Add(uint8(0), uint64(0), uint64(outside), uint64(4), uint64(outside-3), []byte{})
	f.Add(uint8(1), uint64(0), uint64(1)<<63, uint64(0), uint64(0), []byte{})
	f.Add(uint8(3), uint64(0), uint64(65530), uint64(0), uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d uint64, memory []byte) {
		r := newMetrics(t)
		r.want(ok, "define", 0, "one", 512)
		r.fuzz(which, [4]uint64{a, b, c, d}, memory)
	})
}
