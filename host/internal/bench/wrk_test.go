package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const wrkOutput = `Running 1s test @ http://127.0.0.1:9000/1KiB
  1 threads and 64 connections
  Latency Distribution
     50%    1.02ms
     99%    2.59ms
  52000 requests in 1.00s, 60.00MB read
Requests/sec:  52000.00
bench-report requests=52000 bytes=62914560 elapsed_us=1000250 p50_us=1020 p99_us=2590 connect=1 read=2 write=3 timeout=4 status=5
`

func TestParseLoadReport(t *testing.T) {
	got, err := parseLoadReport(wrkOutput)
	want := loadReport{
		requests: 52000, bytes: 62914560, elapsed: 1000250 * time.Microsecond,
		p50: 1020 * time.Microsecond, p99: 2590 * time.Microsecond, socketErrors: 10, statusErrors: 5,
	}
	if err != nil || got != want {
		t.Errorf("report is %+v, %v, want %+v", got, err, want)
	}
}

func TestParseLoadReportRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"bench-report", "report", "no report"},
		{" status=5", "", "status is missing"},
		{" status=5", " status=5 status=6", `unexpected "status"`},
		{"p50_us", "p51_us", `unexpected "p51_us"`},
		{"p50_us=1020", "p50_us=nan", "p50_us"},
		{"requests=52000", "requests=0", "nothing was answered"},
	} {
		_, err := parseLoadReport(strings.Replace(wrkOutput, c.old, c.new, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: error %v, want one with %q", c.new, c.old, err, c.want)
		}
	}
}

func TestDriveRealWrk(t *testing.T) {
	wrk := findTool(t.Context(), "wrk", installDebian, "-v")
	if !wrk.installed() {
		t.Skip("wrk is not installed: " + wrk.install)
	}
	script := filepath.Join(t.TempDir(), "report.lua")
	if err := os.WriteFile(script, reportScript, 0o600); err != nil {
		t.Fatal(err)
	}
	sc := scenario{name: "1KiB", path: "/1KiB", bytes: 1 << 10}
	o, err := startGoOrigin([]scenario{sc})
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	l := load{url: "http://" + o.address + sc.path, key: apiKey, connections: 4, duration: time.Second}
	got, err := drive(t.Context(), wrk.path, script, l)
	if err != nil {
		t.Fatal(err)
	}
	if got.elapsed < time.Second || got.p50 <= 0 || got.p99 < got.p50 || got.socketErrors != 0 || got.statusErrors != 0 {
		t.Errorf("report is %+v", got)
	}
	if per := got.bytes / got.requests; per < 1<<10 {
		t.Errorf("%d bytes a request, want 1 KiB and a head", per)
	}

	l.url = "http://" + o.address + "/missing"
	if got, err = drive(t.Context(), wrk.path, script, l); err != nil || got.statusErrors != got.requests {
		t.Errorf("on 404s the report is %+v, %v, want a status error for each request", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = drive(ended, wrk.path, script, l); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context the error is %v", err)
	}
}
