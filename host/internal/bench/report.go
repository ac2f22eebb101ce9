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
	}{{tableFile, table}, {chartFile, renderChart(r)}, {rawFile, append(raw, '\n')}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.text, 0o644); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "\n%s\nwritten to %s: %s, %s, %s\n", table, dir, tableFile, chartFile, rawFile)
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
	for _, scenario := range r.Scenarios {
		fmt.Fprintf(&b, "\n## %s\n\n", scenarioTitle(scenario))
		fmt.Fprintf(&b, "| target | job | CPU us/request | of %s | requests/s | p50 ms | p99 ms | memory MiB | errors |\n", baseline)
		fmt.Fprintf(&b, "|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, row := range r.rows(scenario) {
			writeRow(&b, row)
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

func writeRow(b *bytes.Buffer, r row) {
	cpu, ratio, memory := "-", "-", "-"
	if r.hasCPU() {
		cpu = fmt.Sprintf("%.1f (%.1f..%.1f)", r.cpu.median, r.cpu.min, r.cpu.max)
		memory = fmt.Sprintf("%.1f", r.resident.median/(1<<20))
		if r.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.ratio)
		}
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %.0f | %.2f | %.2f | %s | %d |\n", r.target.Name, r.target.Job, cpu, ratio,
		r.perSecond.median, r.p50.median/1000, r.p99.median/1000, memory, r.errors)
}

// scenarioTitle is a scenario's heading.
func scenarioTitle(scenario string) string {
	if scenario == denyScenario {
		return "Refused with 401"
	}
	return scenario + " answers"
}

// cell makes text fit into one cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
