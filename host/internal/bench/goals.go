package main

import "fmt"

// goal is what Ergo wants to reach, and what a run says about it.
type goal struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	AtMost float64 `json:"at_most"`

	// Measured is the median over the rounds of what each round says by itself, so that a machine that grows slower
	// or faster counts for nothing; Least and Most are the rounds at the ends. Rounds is 0 where what the goal is
	// about was not measured.
	Measured float64 `json:"measured"`
	Least    float64 `json:"least"`
	Most     float64 `json:"most"`
	Rounds   int     `json:"rounds"`

	needs string
	value func(f figures) float64
}

// met is true of a goal that was measured and reached.
func (g goal) met() bool { return g.Rounds > 0 && g.Measured <= g.AtMost }

// noise is how much a figure may differ that is called unchanged.
const noise = 1.1

// hitCost is what a hit of the cache may cost, in multiples of an exchange that is forwarded.
const hitCost = 0.6

// newGoals are the goals, in the order of the report.
func newGoals() []goal {
	cpu := func(target, than, scenario string) func(figures) float64 {
		return func(f figures) float64 { return f.of(target, scenario).CPUMicros / f.of(than, scenario).CPUMicros }
	}
	return []goal{
		{Name: "1 KiB without policies: CPU time of nginx's", Unit: "times", AtMost: 1.1,
			needs: "ergo-0 and nginx-plain in 1KiB", value: cpu("ergo-0", "nginx-plain", "1KiB")},
		{Name: "1 KiB without policies: p99 of nginx's", Unit: "times", AtMost: 1,
			needs: "ergo-0 and nginx-plain in 1KiB",
			value: func(f figures) float64 {
				return f.of("ergo-0", "1KiB").P99Micros / f.of("nginx-plain", "1KiB").P99Micros
			}},
		{Name: "1 KiB, api-key and headers as Wasm: CPU time of nginx's with njs", Unit: "times", AtMost: 0.9,
			needs: "ergo-2 and nginx-njs in 1KiB", value: cpu("ergo-2", "nginx-njs", "1KiB")},
		{Name: "1 KiB, api-key and headers as Wasm: CPU time of HAProxy's with Lua", Unit: "times", AtMost: 0.6,
			needs: "ergo-2 and haproxy-lua in 1KiB", value: cpu("ergo-2", "haproxy-lua", "1KiB")},
		{Name: "each further header-only Wasm policy", Unit: "us", AtMost: 1,
			needs: "ergo-2 and ergo-10 in 1KiB",
			value: func(f figures) float64 {
				return (f.of("ergo-10", "1KiB").CPUMicros - f.of("ergo-2", "1KiB").CPUMicros) / (10 - 2)
			}},
		{Name: "ten Wasm policies: CPU time of none", Unit: "times", AtMost: 1.6,
			needs: "ergo-0 and ergo-10 in 1KiB", value: cpu("ergo-10", "ergo-0", "1KiB")},
		{Name: "64 KiB without policies: CPU time of nginx's", Unit: "times", AtMost: 1.1,
			needs: "ergo-0 and nginx-plain in 64KiB", value: cpu("ergo-0", "nginx-plain", "64KiB")},
		{Name: "1 MiB without policies is spliced: read into the process", Unit: "KiB a request", AtMost: 64,
			needs: "ergo-0 in 1KiB and 1MiB", value: readOf("ergo-0")},
		{Name: "1 MiB with header policies is spliced: read into the process", Unit: "KiB a request", AtMost: 64,
			needs: "ergo-2 in 1KiB and 1MiB", value: readOf("ergo-2")},
		{Name: "1 KiB from the cache: CPU time of forwarding without policies", Unit: "times", AtMost: hitCost,
			needs: "ergo-hit and ergo-0 in 1KiB", value: cpu("ergo-hit", "ergo-0", "1KiB")},
		{Name: "1 KiB from the cache: CPU time of what the cache forwards", Unit: "times", AtMost: hitCost,
			needs: "ergo-hit and ergo-pass in 1KiB", value: cpu("ergo-hit", "ergo-pass", "1KiB")},
		{Name: "64 KiB from the cache: CPU time of forwarding without policies", Unit: "times", AtMost: hitCost,
			needs: "ergo-hit and ergo-0 in 64KiB", value: cpu("ergo-hit", "ergo-0", "64KiB")},
		{Name: "1 MiB from the cache's disk: CPU time of forwarding without policies", Unit: "times", AtMost: hitCost,
			needs: "ergo-hit and ergo-0 in 1MiB", value: cpu("ergo-hit", "ergo-0", "1MiB")},
		{Name: "an idle connection: resident memory", Unit: "KiB", AtMost: 6,
			needs: "ergo-0 in " + idleScenario, value: func(f figures) float64 { return f.of("ergo-0", idleScenario).IdleBytes / (1 << 10) }},
		{Name: "slow-loris connections beside the busy ones: p99 of that without them", Unit: "times", AtMost: noise,
			needs: "ergo-0 in " + slowScenario,
			value: func(f figures) float64 {
				m := f.of("ergo-0", slowScenario)
				return m.P99Micros / m.CalmP99Micros
			}},
	}
}

// readOf is how much of a large answer the target read, where its counter is known to work: a small answer is read.
func readOf(target string) func(figures) float64 {
	return func(f figures) float64 {
		if f.of(target, "1KiB").ReadBytes == 0 {
			f.missing[target] = true
		}
		return f.of(target, "1MiB").ReadBytes / (1 << 10)
	}
}

// figures are what one round measured.
type figures struct {
	measured map[[2]string]measurement // by target and scenario
	missing  map[string]bool           // what was asked for and is not there
}

func (f figures) of(target, scenario string) measurement {
	m, found := f.measured[[2]string{target, scenario}]
	if !found {
		f.missing[target+" "+scenario] = true
	}
	return m
}

// goals are all goals, with what the run measured of them.
func (r *result) goals() []goal {
	all := newGoals()
	for i := range all {
		var values []float64
		for round := 1; round <= r.Rounds; round++ {
			f := r.figures(round)
			if value := all[i].value(f); len(f.missing) == 0 {
				values = append(values, value)
			}
		}
		if all[i].Rounds = len(values); len(values) > 0 {
			s := spreadOf(values)
			all[i].Measured, all[i].Least, all[i].Most = s.median, s.min, s.max
		}
	}
	return all
}

func (r *result) figures(round int) figures {
	f := figures{measured: map[[2]string]measurement{}, missing: map[string]bool{}}
	for _, m := range r.Measurements {
		if m.Round == round {
			f.measured[[2]string{m.Target, m.Scenario}] = m
		}
	}
	return f
}

// The words of the report.
func (g goal) target() string { return fmt.Sprintf("at most %g %s", g.AtMost, g.Unit) }

func (g goal) measured() string {
	if g.Rounds == 0 {
		return "not measured: needs " + g.needs
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f) %s", g.Measured, g.Least, g.Most, g.Unit)
}

func (g goal) verdict() string {
	switch {
	case g.Rounds == 0:
		return "-"
	case g.met():
		return "met"
	default:
		return "**not met**"
	}
}
