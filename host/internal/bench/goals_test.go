package main

import (
	"math"
	"strings"
	"testing"
)

func TestGoals(t *testing.T) {
	r := &result{Rounds: 3}
	for round := 1; round <= 3; round++ {
		slow := float64(round) // a machine that grows slower: it slows all down alike
		add := func(target, scenario string, m measurement) {
			m.Round, m.Target, m.Scenario = round, target, scenario
			m.CPUMicros, m.P99Micros = m.CPUMicros*slow, m.P99Micros*slow
			r.Measurements = append(r.Measurements, m)
		}
		add("nginx-plain", "1KiB", measurement{CPUMicros: 10, P99Micros: 4000})
		add("nginx-njs", "1KiB", measurement{CPUMicros: 20})
		add("ergo-0", "1KiB", measurement{CPUMicros: 11, P99Micros: 5000, ReadBytes: 1200})
		add("ergo-2", "1KiB", measurement{CPUMicros: 12})
		add("ergo-hit", "1KiB", measurement{CPUMicros: 5.5})
		add("ergo-0", "1MiB", measurement{CPUMicros: 100, ReadBytes: 2048})
		add("ergo-2", "1MiB", measurement{CPUMicros: 100, ReadBytes: 2048}) // whose counter says nothing for 1 KiB
		add("ergo-0", slowScenario, measurement{P99Micros: 6000, CalmP99Micros: 6000 * slow})
		if round < 3 {
			add("ergo-10", "1KiB", measurement{CPUMicros: 20})
			add("ergo-0", idleScenario, measurement{IdleBytes: 4096 * slow})
		}
	}
	for name, want := range map[string]struct {
		measured, least, most float64
		rounds                int
		verdict               string
	}{
		"1 KiB without policies: CPU time of nginx's":                           {1.1, 1.1, 1.1, 3, "met"},
		"1 KiB without policies: p99 of nginx's":                                {1.25, 1.25, 1.25, 3, "**not met**"},
		"1 KiB, api-key and headers as Wasm: CPU time of nginx's with njs":      {0.6, 0.6, 0.6, 3, "met"},
		"1 KiB, api-key and headers as Wasm: CPU time of HAProxy's with Lua":    {verdict: "-"},
		"each further header-only Wasm policy":                                  {1.5, 1, 2, 2, "**not met**"},
		"1 MiB without policies is spliced: read into the process":              {2, 2, 2, 3, "met"},
		"1 MiB with header policies is spliced: read into the process":          {verdict: "-"},
		"1 KiB from the cache: CPU time of forwarding without policies":         {0.5, 0.5, 0.5, 3, "met"},
		"1 KiB from the cache: CPU time of what the cache forwards":             {verdict: "-"},
		"an idle connection: resident memory":                                   {6, 4, 8, 2, "met"},
		"slow-loris connections beside the busy ones: p99 of that without them": {1, 1, 1, 3, "met"},
	} {
		found := false
		for _, g := range r.goals() {
			if g.Name != name {
				continue
			}
			found = true
			near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
			if !near(g.Measured, want.measured) || !near(g.Least, want.least) || !near(g.Most, want.most) || g.Rounds != want.rounds || g.verdict() != want.verdict {
				t.Errorf("%s: got %v (%v..%v) in %d rounds, %s, want %+v", name, g.Measured, g.Least, g.Most, g.Rounds, g.verdict(), want)
			}
			if g.Rounds == 0 && !strings.Contains(g.measured(), "needs ergo") {
				t.Errorf("%s: %q does not say what it needs", name, g.measured())
			}
		}
		if !found {
			t.Errorf("there is no goal %q", name)
		}
	}
}
