package plugin

import (
	"context"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Measure is a change of one of the policy's own metrics. A name is that of one kind, and a
// policy has at most 256 of them, which take the grant ergo_metric.
type Measure struct {
	kind  pluginpb.Measure_Kind
	name  string
	value int64
}

// Count has a counter go up by n, of 1 or more.
func Count(name string, n int64) Measure { return Measure{pluginpb.Measure_COUNTER, name, n} }

// Change has a gauge go up or down.
func Change(name string, delta int64) Measure { return Measure{pluginpb.Measure_GAUGE, name, delta} }

// Set says what a gauge is now.
func Set(name string, value int64) Measure { return Measure{pluginpb.Measure_LEVEL, name, value} }

// Observe has a histogram, by powers of two up to 2^36, count a value, of 0 or more.
func Observe(name string, value int64) Measure {
	return Measure{pluginpb.Measure_HISTOGRAM, name, value}
}

// Measure notes changes of metrics. They travel with what the policy says to the event at
// hand, and are counted if that is taken: not in OnDone, to which nothing is said.
func (x *Exchange) Measure(changes ...Measure) {
	x.done.Measures = append(x.done.Measures, measures(changes)...)
}

// Measure makes changes of metrics beside exchanges.
func (h *Host) Measure(ctx context.Context, changes ...Measure) error {
	_, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Measures{Measures: &pluginpb.Measures{Measures: measures(changes)}}})
	return err
}

func measures(changes []Measure) []*pluginpb.Measure {
	list := make([]*pluginpb.Measure, len(changes))
	for i, m := range changes {
		list[i] = &pluginpb.Measure{Kind: m.kind, Name: m.name, Value: m.value}
	}
	return list
}
