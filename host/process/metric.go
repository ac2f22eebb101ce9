package process

import (
	"fmt"

	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// kinds of metrics by what is done with them.
var kinds = map[pluginpb.Measure_Kind]telemetry.MetricKind{
	pluginpb.Measure_COUNTER:   telemetry.MetricCounter,
	pluginpb.Measure_GAUGE:     telemetry.MetricGauge,
	pluginpb.Measure_LEVEL:     telemetry.MetricGauge,
	pluginpb.Measure_HISTOGRAM: telemetry.MetricHistogram,
}

// measure changes metrics of the policy's own.
func (p *Policy) measure(measures []*pluginpb.Measure) error {
	if len(measures) == 0 {
		return nil
	}
	if !p.grants[grantMetric] {
		return p.notGranted(grantMetric)
	}
	for _, m := range measures {
		if err := p.change(m); err != nil {
			return fmt.Errorf("metric %.64q: %w", m.Name, err)
		}
	}
	return nil
}

func (p *Policy) change(m *pluginpb.Measure) error {
	kind, known := kinds[m.Kind]
	if !known {
		return telemetry.ErrMetricArgument
	}
	id, err := p.granted.Metrics.Define(kind, m.Name)
	if err != nil {
		return err
	}
	switch m.Kind {
	case pluginpb.Measure_LEVEL, pluginpb.Measure_HISTOGRAM:
		return p.granted.Metrics.Record(id, m.Value)
	}
	return p.granted.Metrics.Add(id, m.Value)
}
