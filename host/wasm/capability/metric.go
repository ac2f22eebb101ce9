package capability

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Metric is the module ergo_metric: a guest counts what only it knows of.
//
//	define(kind, name, name_len, id) -> status     kind 0 counter, 1 gauge, 2 histogram; writes the id, 4 bytes
//	add(id, delta i64) -> status                   to a counter, by more than 0; to a gauge, by any
//	record(id, value i64) -> status                sets a gauge, adds to a counter, has a histogram observe it
//	value(id, value) -> status                     writes what a counter or gauge has come to, 8 bytes
//
// Numbers are little-endian. Ids hold for all instances of the policy, so a guest
// defines when it starts, and counts in any phase. A policy has at most 256
// metrics; a name is valid UTF-8 of 1 to 256 bytes. They are exported as
// ergo_guest_counter_NAME_total, ergo_guest_gauge_NAME and
// ergo_guest_histogram_NAME with the policy and its version. The status is 0 for
// done, 1 if there is no such id, 2 for a kind, name or value that does not fit,
// 11 if there are too many, and 12 if the name is one of another kind.
func Metric() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_metric", Functions: []wasm.HostFunction{
		function("define", 4, one, defineMetric),
		{Name: "add", Params: idAndNumber, Results: one, Call: addToMetric},
		{Name: "record", Params: idAndNumber, Results: one, Call: recordMetric},
		function("value", 2, one, metricValue),
	}}
}

var idAndNumber = []api.ValueType{wasm.I32, wasm.I64}

func defineMetric(ctx context.Context, mod api.Module, stack []uint64) {
	name := read(mod, stack[1], stack[2])
	into := read(mod, stack[3], 4)
	kind := telemetry.MetricKind(min(stack[0]&0xffff_ffff, 0xff)) // a larger one is none either
	call := wasm.CallOf(ctx)
	id, err := granted(call).Metrics.Define(kind, call.String(name))
	if err == nil {
		binary.LittleEndian.PutUint32(into, id)
	}
	stack[0] = metricStatus(err)
}

func addToMetric(ctx context.Context, _ api.Module, stack []uint64) {
	stack[0] = metricStatus(granted(wasm.CallOf(ctx)).Metrics.Add(uint32(stack[0]), int64(stack[1])))
}

func recordMetric(ctx context.Context, _ api.Module, stack []uint64) {
	stack[0] = metricStatus(granted(wasm.CallOf(ctx)).Metrics.Record(uint32(stack[0]), int64(stack[1])))
}

func metricValue(ctx context.Context, mod api.Module, stack []uint64) {
	into := read(mod, stack[1], 8)
	value, err := granted(wasm.CallOf(ctx)).Metrics.Value(uint32(stack[0]))
	if err == nil {
		binary.LittleEndian.PutUint64(into, value)
	}
	stack[0] = metricStatus(err)
}

func metricStatus(err error) status {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, telemetry.ErrMetricUnknown):
		return notFound
	case errors.Is(err, telemetry.ErrMetricsFull):
		return noRoom
	case errors.Is(err, telemetry.ErrMetricKind):
		return taken
	}
	return badArgument
}
