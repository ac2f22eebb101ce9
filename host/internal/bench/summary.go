package main

import (
	"fmt"
	"slices"
)

// baseline is the target that the others' CPU time is compared with.
const baseline = "nginx"

// spread is a figure over the rounds.
type spread struct {
	min, median, max float64
}

// spreadOf sums up values, of which there is at least one. An even number has the mean of the middle two as its median.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{min: sorted[0], median: (sorted[(n-1)/2] + sorted[n/2]) / 2, max: sorted[n-1]}
}

// row is one target in one scenario, over all rounds.
type row struct {
	target    targetInfo
	perSecond spread
	p50, p99  spread // microseconds
	resident  spread // bytes
	cpu       spread // microseconds a request
	switches  spread // context switches a request
	ratio     float64
	calmP99   spread // microseconds; scenario slow-loris
	slowed    spread // p99 in multiples of that, round by round
	idleBytes spread // for each connection; scenario idle
	idle      int    // connections, in that scenario
	errors    int64  // socket errors and unexpected statuses, all rounds together
}

// hasCPU is false for the target without a proxy.
func (r row) hasCPU() bool { return r.cpu.median > 0 }

// rows are a scenario's, in the order of the targets; a target without a part in the scenario has none. ratio
// is the CPU time in multiples of the baseline's, 0 where the baseline was not measured.
func (r *result) rows(scenario string) []row {
	var rows []row
	base := 0.0
	for _, t := range r.Targets {
		var measured []measurement
		for _, m := range r.Measurements {
			if m.Target == t.Name && m.Scenario == scenario {
				measured = append(measured, m)
			}
		}
		if len(measured) == 0 {
			continue
		}
		rows = append(rows, newRow(t, measured))
		if t.Name == baseline {
			base = rows[len(rows)-1].cpu.median
		}
	}
	if base > 0 {
		for i := range rows {
			rows[i].ratio = rows[i].cpu.median / base
		}
	}
	return rows
}

func newRow(t targetInfo, measured []measurement) row {
	over := func(figure func(measurement) float64) spread {
		values := make([]float64, len(measured))
		for i, m := range measured {
			values[i] = figure(m)
		}
		return spreadOf(values)
	}
	r := row{
		target:    t,
		idle:      measured[0].IdleConnections,
		perSecond: over(func(m measurement) float64 { return m.RequestsPerSecond }),
		p50:       over(func(m measurement) float64 { return m.P50Micros }),
		p99:       over(func(m measurement) float64 { return m.P99Micros }),
		resident:  over(func(m measurement) float64 { return float64(m.ResidentBytes) }),
		cpu:       over(func(m measurement) float64 { return m.CPUMicros }),
		switches:  over(func(m measurement) float64 { return m.ContextSwitches }),
		calmP99:   over(func(m measurement) float64 { return m.CalmP99Micros }),
		slowed:    over(func(m measurement) float64 { return m.P99Micros / max(m.CalmP99Micros, 1) }),
		idleBytes: over(func(m measurement) float64 { return m.IdleBytes }),
	}
	for _, m := range measured {
		r.errors += m.SocketErrors + m.UnexpectedStatuses
	}
	return r
}

func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
