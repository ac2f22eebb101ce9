package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// warmUp is how long a scenario runs, unmeasured, before it is measured: a target is freshly started.
const warmUp = time.Second

// session is one run of the harness.
type session struct {
	options
	tools   toolbox
	targets []target
	dir     string // temporary, removed by its owner
	out     io.Writer

	proc   fs.FS
	origin origin
	script string // wrk's report script
	result *result
}

// measurement is one target in one scenario in one round, as raw.json keeps it.
type measurement struct {
	Round               int     `json:"round"`
	Target              string  `json:"target"`
	Scenario            string  `json:"scenario"`
	Requests            int64   `json:"requests"`
	RequestsPerSecond   float64 `json:"requests_per_second"`
	P50Micros           float64 `json:"p50_us"`
	P99Micros           float64 `json:"p99_us"`
	CPUMicros           float64 `json:"cpu_us_per_request"`        // of the proxy's process tree; 0 without a proxy
	OriginCPUMicros     float64 `json:"origin_cpu_us_per_request"` // alike; 0 for an origin inside the harness
	ResidentBytes       int64   `json:"resident_bytes"`            // of the proxy's process tree, after the load
	Processes           int     `json:"processes"`
	SocketErrors        int64   `json:"socket_errors"`
	UnexpectedStatuses  int64   `json:"unexpected_statuses"`
	ReceivedBytesPerReq float64 `json:"received_bytes_per_request"`
}

// result is everything a run found out.
type result struct {
	Machine      machine           `json:"machine"`
	Rounds       int               `json:"rounds"`
	Seconds      float64           `json:"seconds_per_measurement"`
	Connections  int               `json:"connections"`
	Origin       string            `json:"origin"`
	Load         string            `json:"load"`
	Targets      []targetInfo      `json:"targets"`
	Scenarios    []string          `json:"scenarios"`
	Missing      map[string]string `json:"missing"`  // target that is not installed: how to install it
	Excluded     map[string]string `json:"excluded"` // target that did not do its job: why
	Measurements []measurement     `json:"measurements"`
}

// targetInfo says what a measured target was.
type targetInfo struct {
	Name    string `json:"name"`
	Job     string `json:"job"`
	Version string `json:"version"`
}

// measureAll drives every target through every scenario, round by round. Every other round runs backwards, so
// that a machine that grows slower or faster favours nobody.
func (s *session) measureAll(ctx context.Context) (*result, error) {
	s.proc = os.DirFS("/proc")
	s.script = filepath.Join(s.dir, "report.lua")
	if err := os.WriteFile(s.script, reportScript, 0o600); err != nil {
		return nil, err
	}
	originDir, err := s.makeDir("origin")
	if err != nil {
		return nil, err
	}
	if s.origin, err = startOrigin(ctx, s.tools.nginx, originDir, s.scenarios); err != nil {
		return nil, err
	}
	defer s.origin.stop()

	s.begin()
	fmt.Fprintf(s.out, "origin: %s; load: %s; %s of %v on %s\n",
		s.origin.version, s.tools.wrk.version, plural(s.rounds, "round"), s.duration, plural(s.connections, "connection"))
	if load := s.result.Machine.LoadAverage; load > busyLoad {
		fmt.Fprintf(s.out, "the machine is busy with other work (load average %.1f): figures will scatter\n", load)
	}
	for round := 1; round <= s.rounds; round++ {
		order := slices.Clone(s.runnable())
		if round%2 == 0 {
			slices.Reverse(order)
		}
		for i, t := range order {
			if err := s.measureTarget(ctx, t, round, fmt.Sprintf("round %d/%d, %2d/%d", round, s.rounds, i+1, len(order))); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				s.result.Excluded[t.name] = err.Error()
				fmt.Fprintf(s.out, "%s excluded: %v\n", t.name, err)
			}
		}
	}
	return s.finish()
}

// begin writes down what will be measured, and says how to get what is missing.
func (s *session) begin() {
	s.result = &result{
		Machine: readMachine(s.proc), Rounds: s.rounds, Seconds: s.duration.Seconds(), Connections: s.connections,
		Origin: s.origin.version, Load: s.tools.wrk.version, Missing: map[string]string{}, Excluded: map[string]string{},
	}
	for _, sc := range s.scenarios {
		s.result.Scenarios = append(s.result.Scenarios, sc.name)
	}
	for _, t := range s.targets {
		if !t.tool.installed() {
			s.result.Missing[t.name] = t.tool.install
			fmt.Fprintf(s.out, "%s is not installed and left out; to have it: %s\n", t.name, t.tool.install)
		}
	}
}

// runnable are the targets that are installed and did their job so far.
func (s *session) runnable() []target {
	return slices.DeleteFunc(slices.Clone(s.targets), func(t target) bool {
		return !t.tool.installed() || s.result.Excluded[t.name] != ""
	})
}

// finish drops what was measured of targets that were excluded later, and lists the others.
func (s *session) finish() (*result, error) {
	s.result.Measurements = slices.DeleteFunc(s.result.Measurements, func(m measurement) bool {
		return s.result.Excluded[m.Target] != ""
	})
	if len(s.result.Measurements) == 0 {
		return nil, fmt.Errorf("nothing was measured: %d targets missing, %d excluded: %v",
			len(s.result.Missing), len(s.result.Excluded), s.result.Excluded)
	}
	for _, t := range s.runnable() {
		s.result.Targets = append(s.result.Targets, targetInfo{Name: t.name, Job: t.job.String(), Version: t.tool.version})
	}
	return s.result, nil
}

func (s *session) makeDir(name string) (string, error) {
	dir := filepath.Join(s.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// measureTarget starts a target, checks it, measures it in every scenario that it has a part in, and ends it.
func (s *session) measureTarget(ctx context.Context, t target, round int, progress string) error {
	address, pid := s.origin.address, 0
	if t.name != direct {
		c, listen, err := s.startTarget(ctx, t)
		if err != nil {
			return err
		}
		defer c.stop()
		address, pid = listen, c.pid()
	}
	if err := verify(ctx, address, t.job, s.scenarios); err != nil {
		return err
	}
	for _, sc := range s.scenarios {
		if sc.denied && !t.job.Keyed {
			continue
		}
		m, err := s.measure(ctx, address, pid, sc)
		if err != nil {
			return err
		}
		m.Round, m.Target, m.Scenario = round, t.name, sc.name
		s.result.Measurements = append(s.result.Measurements, m)
		fmt.Fprintf(s.out, "%s  %-13s %-6s %8.0f req/s  p50 %7.0f us  p99 %8.0f us  cpu %7.1f us/req  %s\n",
			progress, t.name, sc.name, m.RequestsPerSecond, m.P50Micros, m.P99Micros, m.CPUMicros, m.errorNote())
	}
	return nil
}

func (s *session) startTarget(ctx context.Context, t target) (*child, string, error) {
	dir, err := s.makeDir(t.name)
	if err != nil {
		return nil, "", err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	start, err := t.prepare(site{Dir: dir, Listen: listen, Origin: s.origin.address, Job: t.job})
	if err != nil {
		return nil, "", err
	}
	c, err := startChild(dir, start.argv, start.env)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.waitReady(ctx, listen); err != nil {
		c.stop()
		return nil, "", err
	}
	return c, listen, nil
}

// measure drives one scenario at address, where the process tree pid serves; pid 0 is no proxy.
func (s *session) measure(ctx context.Context, address string, pid int, sc scenario) (measurement, error) {
	l := load{url: "http://" + address + sc.path, key: apiKey, connections: s.connections, duration: warmUp}
	if sc.denied {
		l.key = wrongKey
	}
	if _, err := drive(ctx, s.tools.wrk.path, s.script, l); err != nil {
		return measurement{}, err
	}
	l.duration = s.duration
	proxyBefore, originBefore, err := s.usages(pid)
	if err != nil {
		return measurement{}, err
	}
	report, err := drive(ctx, s.tools.wrk.path, s.script, l)
	if err != nil {
		return measurement{}, err
	}
	proxy, originAfter, err := s.usages(pid)
	if err != nil {
		return measurement{}, err
	}
	m := newMeasurement(report, sc)
	m.CPUMicros = perRequest(proxy.cpu-proxyBefore.cpu, report.requests)
	m.OriginCPUMicros = perRequest(originAfter.cpu-originBefore.cpu, report.requests)
	m.ResidentBytes, m.Processes = proxy.residentBytes, proxy.processes
	return m, nil
}

// usages reads what proxy and origin have used; that of one without processes of its own is zero.
func (s *session) usages(pid int) (proxy, origin usage, err error) {
	if pid != 0 {
		if proxy, err = treeUsage(s.proc, pid); err != nil {
			return proxy, origin, fmt.Errorf("proxy: %w", err)
		}
	}
	if s.origin.pid != 0 {
		if origin, err = treeUsage(s.proc, s.origin.pid); err != nil {
			return proxy, origin, fmt.Errorf("origin: %w", err)
		}
	}
	return proxy, origin, nil
}

// newMeasurement fills in what wrk knows.
func newMeasurement(r loadReport, sc scenario) measurement {
	wrong := r.statusErrors
	if sc.denied {
		wrong = r.requests - r.statusErrors
	}
	return measurement{
		Requests:            r.requests,
		RequestsPerSecond:   float64(r.requests) / r.elapsed.Seconds(),
		P50Micros:           micros(r.p50),
		P99Micros:           micros(r.p99),
		SocketErrors:        r.socketErrors,
		UnexpectedStatuses:  wrong,
		ReceivedBytesPerReq: float64(r.bytes) / float64(r.requests),
	}
}

func (m measurement) errorNote() string {
	if m.SocketErrors == 0 && m.UnexpectedStatuses == 0 {
		return ""
	}
	return fmt.Sprintf("%d socket errors, %d wrong statuses", m.SocketErrors, m.UnexpectedStatuses)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func perRequest(d time.Duration, requests int64) float64 { return micros(d) / float64(requests) }
