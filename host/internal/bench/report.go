package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of a report.
const (
	tableFile = "report.md"
	chartFile = "cpu.svg"
	goalsFile = "goals.svg"
	rawFile   = "raw.json"
)

// writeReports writes table, chart and raw figures to the folder dir, and prints the table to out.
func writeReports(dir string, r *result, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	table := renderTable(r)
	for _, file := range []struct {
		name string
		text []byte
	}{{tableFile, table}, {chartFile, renderChart(r)}, {goalsFile, renderGoalsChart(r)}, {rawFile, append(raw, '\n')}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.text, 0o644); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "\n%s\nwritten to %s: %s, %s, %s, %s\n", table, dir, tableFile, chartFile, goalsFile, rawFile)
	return err
}

// renderTable is the report in Markdown.
func renderTable(r *result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What a request costs\n\n")
	fmt.Fprintf(&b, "%s.\nMedians over %s of %gs, on %s, one target at a time; load generator\n",
		r.Machine, plural(r.Rounds, "round"), r.Seconds, plural(r.Connections, "connection"))
	fmt.Fprintf(&b, "(%s, one thread), proxy and origin (%s) share the cores.\n", r.Load, r.Origin)
	fmt.Fprintf(&b, "CPU is utime+stime of the proxy's whole process tree per request, with least and most over the rounds;\n")
	fmt.Fprintf(&b, "memory is what that tree has resident after the load.\n\n![CPU time per request](%s)\n", chartFile)
	if load := r.Machine.LoadAverage; load > busyLoad {
		fmt.Fprintf(&b, "\nThe machine was busy with other work (load average %.1f before the run): figures scatter.\n", load)
	}
	writeGoals(&b, r)
	for _, scenario := range r.Scenarios {
		rows := r.rows(scenario)
		fmt.Fprintf(&b, "\n## %s\n\n", scenarioTitle(scenario))
		switch scenario {
		case slowScenario:
			writeSlow(&b, r, rows)
		case idleScenario:
			writeIdle(&b, rows)
		default:
			writeLoads(&b, rows)
		}
	}
	fmt.Fprintf(&b, "\n## Targets\n\n| target | version |\n|---|---|\n")
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "| %s | %s |\n", t.Name, cell(t.Version))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		fmt.Fprintf(&b, "| %s | not installed: `%s` |\n", name, r.Missing[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Excluded)) {
		fmt.Fprintf(&b, "| %s | excluded: %s |\n", name, cell(r.Excluded[name]))
	}
	return b.Bytes()
}

// writeGoals says of every goal what is wanted and what was measured.
func writeGoals(b *bytes.Buffer, r *result) {
	fmt.Fprintf(b, "\n## Goals\n\nEach figure is the median of what the rounds say, each by itself, with the least and the most of them.\n\n")
	fmt.Fprintf(b, "![Goals](%s)\n\n| goal | target | measured | |\n|---|---|---|---|\n", goalsFile)
	for _, g := range r.Goals {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.Name, g.target(), g.measured(), g.verdict())
	}
	fmt.Fprintf(b, "\nThat an exchange allocates nothing is counted by tests, not here.\n")
}

func writeLoads(b *bytes.Buffer, rows []row) {
	fmt.Fprintf(b, "| target | job | CPU us/request | of %s | switches/request | requests/s | p50 ms | p99 ms | memory MiB | errors |\n", baseline)
	fmt.Fprintf(b, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		cpu, ratio, switches, memory := "-", "-", "-", "-"
		if r.hasCPU() {
			cpu = fmt.Sprintf("%.1f (%.1f..%.1f)", r.cpu.median, r.cpu.min, r.cpu.max)
			switches = fmt.Sprintf("%.2f", r.switches.median)
			memory = fmt.Sprintf("%.1f", r.resident.median/(1<<20))
			if r.ratio > 0 {
				ratio = fmt.Sprintf("%.2f", r.ratio)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.0f | %.2f | %.2f | %s | %d |\n", r.target.Name, r.target.Job, cpu, ratio,
			switches, r.perSecond.median, r.p50.median/1000, r.p99.median/1000, memory, r.errors)
	}
}

func writeSlow(b *bytes.Buffer, result *result, rows []row) {
	fmt.Fprintf(b, "The busy connections alone, and beside %d that send a byte of a request's head every %v.\n\n", result.Slow, pace)
	fmt.Fprintf(b, "| target | p99 ms alone | p99 ms beside slow ones | times | CPU us/request | requests/s | errors |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %.2f | %.2f | %.2f (%.2f..%.2f) | %.1f | %.0f | %d |\n", r.target.Name, r.calmP99.median/1000,
			r.p99.median/1000, r.slowed.median, r.slowed.min, r.slowed.max, r.cpu.median, r.perSecond.median, r.errors)
	}
}

func writeIdle(b *bytes.Buffer, rows []row) {
	fmt.Fprintf(b, "What connections that did one request each and stay add to the proxy's resident memory.\n\n")
	fmt.Fprintf(b, "| target | connections | KiB for each | memory MiB |\n|---|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %d | %.2f (%.2f..%.2f) | %.1f |\n", r.target.Name, r.idle,
			r.idleBytes.median/(1<<10), r.idleBytes.min/(1<<10), r.idleBytes.max/(1<<10), r.resident.median/(1<<20))
	}
}

// scenarioTitle is a scenario's heading.
func scenarioTitle(scenario string) string {
	switch scenario {
	case denyScenario:
		return "Refused with 401"
	case slowScenario:
		return "Slow connections beside the busy ones"
	case idleScenario:
		return "Idle connections"
	default:
		return scenario + " answers"
	}
}

// cell makes text fit into one cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
