package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// exampleResult has every case that a report tells apart: two rounds, no proxy, one without a part in a
// scenario, one missing, one excluded with an awkward reason, and errors.
func exampleResult() *result {
	r := &result{
		Machine: machine{CPU: "Example <CPU> & more", Cores: 2, Kernel: "6.1", Go: "go1.26", LoadAverage: 1.25},
		Rounds:  2, Seconds: 3, Connections: 64, Origin: "nginx/1.0, one worker", Load: "wrk 4",
		Slow:      256,
		Scenarios: []string{"1KiB", denyScenario, slowScenario, idleScenario},
		Targets: []targetInfo{
			{Name: direct, Job: "forward", Version: "wrk to origin"},
			{Name: "nginx-plain", Job: "forward", Version: "nginx/1.0"},
			{Name: "nginx", Job: "key, 1+1 headers", Version: "nginx/1.0"},
			{Name: "ergo-2", Job: "key, 1+1 headers", Version: "ergo abc"},
			{Name: "ergo-0", Job: "forward", Version: "ergo abc"},
		},
		Missing:  map[string]string{"caddy": installCaddy},
		Excluded: map[string]string{"haproxy": "status 500 |\n want 200"},
	}
	for round := 1; round <= 2; round++ {
		for i, t := range r.Targets {
			m := measurement{Round: round, Target: t.Name, Scenario: "1KiB", Requests: 1000,
				RequestsPerSecond: float64(40000 - 1000*i + 100*round), P50Micros: float64(1000 + i), P99Micros: 2500}
			if t.Name != direct {
				m.CPUMicros, m.ResidentBytes, m.Processes = float64(8*i+2*round), int64(i)*8<<20, i
				m.ContextSwitches = float64(i) / 4
			}
			r.Measurements = append(r.Measurements, m)
			if isErgo(t.Name) && t.Job == "forward" {
				m.Scenario, m.CalmP99Micros = slowScenario, float64(2000+500*round)
				r.Measurements = append(r.Measurements, m, measurement{Round: round, Target: t.Name, Scenario: idleScenario,
					Requests: 5000, IdleConnections: 5000, IdleBytes: float64(3072 * round), ResidentBytes: 30 << 20})
			}
			if t.Job == "forward" {
				continue
			}
			m.Scenario, m.CPUMicros, m.SocketErrors, m.UnexpectedStatuses = denyScenario, m.CPUMicros/4, int64(i), 1
			r.Measurements = append(r.Measurements, m)
		}
	}
	r.Goals = r.goals()
	return r
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update rewrites it); got:\n%s", path, got)
	}
}

func TestRenderTable(t *testing.T) { checkGolden(t, "report.md", renderTable(exampleResult())) }

func TestRenderChart(t *testing.T) {
	chart := renderChart(exampleResult())
	checkGolden(t, "cpu.svg", chart)
	wellFormed(t, chart)
	goals := renderGoalsChart(exampleResult())
	checkGolden(t, "goals.svg", goals)
	wellFormed(t, goals)
}

func TestRenderChartOfOneUnmeasuredScenario(t *testing.T) {
	r := exampleResult()
	r.Scenarios = []string{"64KiB"}
	chart := renderChart(r)
	wellFormed(t, chart)
	if !bytes.Contains(chart, []byte("not measured")) || bytes.Contains(chart, []byte("NaN")) {
		t.Errorf("chart:\n%s", chart)
	}
}

func wellFormed(t *testing.T, document []byte) {
	t.Helper()
	for decoder := xml.NewDecoder(bytes.NewReader(document)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{5}, spread{5, 5, 5}},
		{[]float64{9, 1, 4}, spread{1, 4, 9}},
		{[]float64{4, 1, 9, 2}, spread{1, 3, 9}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spread of %v is %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestRows(t *testing.T) {
	r := exampleResult()
	rows := r.rows("1KiB")
	if len(rows) != 5 || rows[0].hasCPU() || rows[2].ratio != 1 {
		t.Fatalf("rows are %+v", rows)
	}
	if got, want := rows[3].cpu, (spread{26, 27, 28}); got != want {
		t.Errorf("ergo's CPU is %+v, want %+v", got, want)
	}
	if got, want := rows[3].ratio, 27.0/19; math.Abs(got-want) > 1e-9 {
		t.Errorf("ergo's ratio is %v, want %v", got, want)
	}
	denied := r.rows(denyScenario)
	if len(denied) != 2 || denied[0].target.Name != "nginx" || denied[0].errors != 6 {
		t.Errorf("rows of denials are %+v", denied)
	}
	r.Targets = r.Targets[:2]
	if rows := r.rows("1KiB"); rows[1].ratio != 0 {
		t.Errorf("without the baseline the ratio is %v", rows[1].ratio)
	}
}

func TestNiceStep(t *testing.T) {
	for most, want := range map[float64]float64{3: 1, 7: 2, 19: 5, 28: 5, 30: 10, 204.6: 50, 0.4: 0.1} {
		if got := niceStep(most); math.Abs(got-want) > 1e-9 {
			t.Errorf("step for %v is %v, want %v", most, got, want)
		}
	}
}
