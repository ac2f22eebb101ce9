package proxywasm

import (
	"errors"

	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/wasm"
)

// metricFunctions are those for metrics that the policy defines. They are the
// policy's, so all its instances know one by the same id.
func metricFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("proxy_define_metric", "iiii", defineMetric),
		function("proxy_increment_metric", "il", incrementMetric),
		function("proxy_record_metric", "il", recordMetric),
		function("proxy_get_metric", "ii", getMetric),
	}
}

func metricStatus(err error) status {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, telemetry.ErrMetricUnknown):
		return statusNotFound
	case errors.Is(err, telemetry.ErrMetricsFull):
		return statusInternal
	}
	return statusBadArgument
}

func defineMetric(c *call) status {
	name, ok := c.text(1)
	if !ok {
		return statusInvalidMemory
	}
	kind := c.arg(0)
	if kind > uint32(telemetry.MetricHistogram) {
		return statusBadArgument
	}
	id, err := c.vm.fleet.granted.Metrics.Define(telemetry.MetricKind(kind), name)
	if err != nil {
		return metricStatus(err)
	}
	return c.putU32(3, id)
}

func incrementMetric(c *call) status {
	return metricStatus(c.vm.fleet.granted.Metrics.Add(c.arg(0), int64(c.stack[1])))
}

func recordMetric(c *call) status {
	return metricStatus(c.vm.fleet.granted.Metrics.Record(c.arg(0), int64(c.stack[1])))
}

func getMetric(c *call) status {
	value, err := c.vm.fleet.granted.Metrics.Value(c.arg(0))
	if err != nil {
		return metricStatus(err)
	}
	return c.putU64(1, value)
}
