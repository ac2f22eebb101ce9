package guest

import "errors"

// Why the host refused a metric.
var (
	ErrNoRoom    = errors.New("there are as many, or as large, as may be")
	ErrOtherKind = errors.New("the name is that of another kind of metric")
)

// Kinds of metrics.
const (
	counterKind = iota
	gaugeKind
	histogramKind
)

// Counter is a metric of the policy's that goes up. Like all metrics it belongs to
// all instances of the policy, needs the grant ergo_metric, and is defined when the
// policy is configured: a policy has at most 256, and the same name is the same
// metric.
type Counter struct{ id uint32 }

// DefineCounter makes a counter; name has at most 256 bytes.
func DefineCounter(name string) (Counter, error) {
	id, err := define(counterKind, name)
	return Counter{id}, err
}

// Add counts n more.
func (c Counter) Add(n uint32) {
	if n > 0 {
		addMetric(c.id, int64(n))
	}
}

// Value returns what all instances have counted.
func (c Counter) Value() uint64 { return metricValue(c.id) }

// Gauge is a metric that goes up and down. See [Counter].
type Gauge struct{ id uint32 }

// DefineGauge makes a gauge; name has at most 256 bytes.
func DefineGauge(name string) (Gauge, error) {
	id, err := define(gaugeKind, name)
	return Gauge{id}, err
}

// Set says what it is now.
func (g Gauge) Set(value int64) { recordMetric(g.id, value) }

// Add changes it by delta.
func (g Gauge) Add(delta int64) { addMetric(g.id, delta) }

// Value returns what it is now.
func (g Gauge) Value() int64 { return int64(metricValue(g.id)) }

// Histogram is a metric that counts observations by their size, in powers of two
// up to 2^36. See [Counter].
type Histogram struct{ id uint32 }

// DefineHistogram makes a histogram; name has at most 256 bytes.
func DefineHistogram(name string) (Histogram, error) {
	id, err := define(histogramKind, name)
	return Histogram{id}, err
}

// Observe counts one observation; a negative one is not counted.
func (h Histogram) Observe(value int64) { recordMetric(h.id, value) }

func define(kind uint32, name string) (uint32, error) {
	id, status := defineMetric(kind, name)
	switch status {
	case 0:
		return id, nil
	case 11:
		return 0, ErrNoRoom
	case 12:
		return 0, ErrOtherKind
	}
	return 0, ErrBadArgument
}
