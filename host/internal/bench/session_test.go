package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPeersDoTheJob starts every installed peer as a run does, and checks it as a run does.
func TestPeersDoTheJob(t *testing.T) {
	tools := findTools(t.Context())
	scenarios := []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}, {name: "64KiB", path: "/64KiB", bytes: 64 << 10}}
	originDir := t.TempDir()
	o, err := startOrigin(t.Context(), tools.nginx, originDir, scenarios)
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	s := &session{options: options{scenarios: scenarios}, dir: t.TempDir(), out: io.Discard, origin: o}
	for _, target := range targets(tools, ergo{repository: t.TempDir()}) {
		if target.name == direct || isErgo(target.name) {
			continue
		}
		t.Run(target.name, func(t *testing.T) {
			if !target.tool.installed() {
				t.Skip("not installed: " + target.tool.install)
			}
			c, at, err := s.startTarget(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			defer c.stop()
			if err := verify(t.Context(), at.address, target.job, scenarios); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGoOriginIsVerified(t *testing.T) {
	scenarios := []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}}
	o, err := startOrigin(t.Context(), tool{}, t.TempDir(), scenarios)
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	if err := verify(t.Context(), o.address, job{}, scenarios); err != nil {
		t.Error(err)
	}
}

func TestManifest(t *testing.T) {
	e := ergo{repository: "/repository", dir: t.TempDir(), build: func() (string, error) { return "/binary", nil }}
	for golden, target := range map[string]target{
		"proxy-0.toml": e.target(0), "proxy-2.toml": e.target(2), "proxy-5.toml": e.target(5), "proxy-hit.toml": e.cache("ergo-hit", hits),
	} {
		dir := t.TempDir()
		got, err := target.prepare(site{Dir: dir, Listen: "127.0.0.1:1", Origin: "127.0.0.1:2", Job: target.job})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"/binary", "run", "-c", filepath.Join(dir, "proxy.toml")}; !slices.Equal(got.argv, want) {
			t.Errorf("command is %q, want %q", got.argv, want)
		}
		manifest, err := os.ReadFile(filepath.Join(dir, "proxy.toml"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(dir, "/site", e.dir, "/tmp").Replace(string(manifest))
		checkGolden(t, golden, []byte(text))
	}
}

func TestNewMeasurementCountsWrongStatuses(t *testing.T) {
	r := loadReport{requests: 100, bytes: 1000, elapsed: 2 * time.Second, statusErrors: 99, p50: time.Millisecond}
	passed, denied := newMeasurement(r, scenario{}), newMeasurement(r, scenario{kind: denied})
	if passed.UnexpectedStatuses != 99 || denied.UnexpectedStatuses != 1 {
		t.Errorf("wrong statuses: %d and %d, want 99 and 1", passed.UnexpectedStatuses, denied.UnexpectedStatuses)
	}
	if passed.RequestsPerSecond != 50 || passed.P50Micros != 1000 || passed.ReceivedBytesPerReq != 10 {
		t.Errorf("measurement is %+v", passed)
	}
	if !strings.Contains(passed.errorNote(), "99 wrong") || (measurement{}).errorNote() != "" {
		t.Errorf("note is %q", passed.errorNote())
	}
}

func TestRunWritesReportsAndCleansUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's /proc")
	}
	if wrk := findTool(t.Context(), "wrk", installDebian, "-v"); !wrk.installed() {
		t.Skip("wrk is not installed: " + wrk.install)
	}
	temporary, out := t.TempDir(), filepath.Join(t.TempDir(), "reports")
	t.Setenv("TMPDIR", temporary)
	err := run(t.Context(), []string{"-rounds", "1", "-duration", "1s", "-only", direct, "-bodies", "1KiB", "-out", out}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(out, rawFile))
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Measurements) != 1 || got.Measurements[0].Requests == 0 || len(got.Targets) != 1 {
		t.Errorf("raw result is %s", raw)
	}
	for _, name := range []string{tableFile, chartFile, goalsFile} {
		if !isFile(filepath.Join(out, name)) {
			t.Errorf("%s was not written", name)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A target that does not do its job is left out, with the reason; the others are measured all the same.
func TestMeasureAllExcludes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's /proc")
	}
	wrk := findTool(t.Context(), "wrk", installDebian, "-v")
	if !wrk.installed() {
		t.Skip("wrk is not installed: " + wrk.install)
	}
	broken := func(site) (command, error) {
		return command{argv: []string{"sh", "-c", "echo no such thing; exit 1"}}, nil
	}
	var out strings.Builder
	s := &session{
		options: options{rounds: 2, duration: time.Second, connections: 4,
			scenarios: []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}, {name: denyScenario, path: "/1KiB", bytes: 1 << 10, kind: denied}}},
		tools: toolbox{wrk: wrk},
		targets: []target{
			{name: direct, tool: tool{path: direct}},
			{name: "broken", tool: tool{path: "sh"}, prepare: broken},
			{name: "absent", tool: tool{install: "get it"}},
		},
		dir: t.TempDir(), out: &out,
	}
	got, err := s.measureAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Excluded["broken"], "no such thing") || len(got.Excluded) != 1 {
		t.Errorf("excluded are %v", got.Excluded)
	}
	if got.Missing["absent"] != "get it" || !strings.Contains(out.String(), "get it") {
		t.Errorf("missing are %v; printed:\n%s", got.Missing, out.String())
	}
	if len(got.Measurements) != 2 || len(got.Targets) != 1 {
		t.Errorf("measured %+v of %v, want the direct target once a round", got.Measurements, got.Targets)
	}
}

func TestMeasureAllEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &session{
		options: options{rounds: 1, duration: time.Second, connections: 1, scenarios: []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}}},
		targets: []target{{name: direct, tool: tool{path: direct}}},
		dir:     t.TempDir(), out: io.Discard,
	}
	if _, err := s.measureAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the context's", err)
	}
}
