package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

//go:embed templates/report.lua
var reportScript []byte

// load is one run of wrk.
type load struct {
	url         string
	key         string // value of the header x-api-key
	connections int
	duration    time.Duration
}

// loadReport is what wrk says about a run.
type loadReport struct {
	requests     int64
	bytes        int64
	elapsed      time.Duration
	p50, p99     time.Duration
	socketErrors int64 // connect, read, write, and answers later than wrk's timeout
	statusErrors int64 // answers above 399
}

// drive runs wrk, with the report script at path script, and waits for it.
func drive(ctx context.Context, wrk, script string, l load) (loadReport, error) {
	ctx, cancel := context.WithTimeout(ctx, l.duration+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, wrk,
		"--threads", "1",
		"--connections", strconv.Itoa(l.connections),
		"--duration", fmt.Sprintf("%ds", l.duration/time.Second),
		"--timeout", "10s",
		"--latency",
		"--header", "x-api-key: "+l.key,
		"--script", script,
		l.url)
	isolate(cmd)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return loadReport{}, fmt.Errorf("wrk on %s: %w", l.url, context.Cause(ctx))
	}
	if err != nil {
		return loadReport{}, fmt.Errorf("wrk on %s: %w: %s", l.url, err, bytes.TrimSpace(out))
	}
	return parseLoadReport(string(out))
}

// reportPrefix begins the line that the report script prints among wrk's own text.
const reportPrefix = "bench-report "

// parseLoadReport finds the script's line of name=number pairs. Every name must be there, once.
func parseLoadReport(out string) (loadReport, error) {
	var r loadReport
	_, rest, found := strings.Cut(out, reportPrefix)
	if !found {
		return r, fmt.Errorf("wrk printed no report: %q", out)
	}
	line, _, _ := strings.Cut(rest, "\n")
	var elapsed, p50, p99, connect, read, write, late int64
	fields := map[string]*int64{
		"requests": &r.requests, "bytes": &r.bytes, "elapsed_us": &elapsed, "p50_us": &p50, "p99_us": &p99,
		"connect": &connect, "read": &read, "write": &write, "timeout": &late, "status": &r.statusErrors,
	}
	for pair := range strings.FieldsSeq(line) {
		name, text, _ := strings.Cut(pair, "=")
		field, known := fields[name]
		if !known {
			return r, fmt.Errorf("wrk report %q: unexpected %q", line, name)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return r, fmt.Errorf("wrk report %q: %s: %w", line, name, err)
		}
		*field = n
		delete(fields, name)
	}
	for name := range fields {
		return r, fmt.Errorf("wrk report %q: %s is missing", line, name)
	}
	if r.requests == 0 || elapsed == 0 {
		return r, fmt.Errorf("wrk report %q: nothing was answered", line)
	}
	r.elapsed = time.Duration(elapsed) * time.Microsecond
	r.p50 = time.Duration(p50) * time.Microsecond
	r.p99 = time.Duration(p99) * time.Microsecond
	r.socketErrors = connect + read + write + late
	return r, nil
}
