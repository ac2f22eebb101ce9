package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ergoproxy/ergo/host/internal/proctree"
)

// measurement is one target in one scenario in one round, as raw.json keeps it.
type measurement struct {
	Round               int     `json:"round"`
	Target              string  `json:"target"`
	Scenario            string  `json:"scenario"`
	Requests            int64   `json:"requests"`
	RequestsPerSecond   float64 `json:"requests_per_second"`
	P50Micros           float64 `json:"p50_us"`
	P99Micros           float64 `json:"p99_us"`
	CPUMicros           float64 `json:"cpu_us_per_request"`           // of the proxy's process tree; 0 without a proxy
	ContextSwitches     float64 `json:"context_switches_per_request"` // alike
	ReadBytes           float64 `json:"read_bytes_per_request"`       // by read(2) of the proxy; what it receives or splices does not count
	OriginCPUMicros     float64 `json:"origin_cpu_us_per_request"`    // 0 for an origin inside the harness
	ResidentBytes       int64   `json:"resident_bytes"`               // of the proxy's process tree, after the load
	Processes           int     `json:"processes"`
	SocketErrors        int64   `json:"socket_errors"`
	UnexpectedStatuses  int64   `json:"unexpected_statuses"`
	ReceivedBytesPerReq float64 `json:"received_bytes_per_request"`

	CalmP99Micros   float64 `json:"p99_us_without_slow,omitempty"`           // scenario slow-loris: the same load alone
	IdleConnections int     `json:"idle_connections,omitempty"`              // scenario idle
	IdleBytes       float64 `json:"resident_bytes_per_connection,omitempty"` // alike: how much they added, by their number
}

// String is the measurement in short.
func (m measurement) String() string {
	switch {
	case m.IdleConnections > 0:
		return fmt.Sprintf("%d connections, %.2f KiB resident for each", m.IdleConnections, m.IdleBytes/(1<<10))
	case m.CalmP99Micros > 0:
		return fmt.Sprintf("p99 %8.0f us alone, %8.0f us beside slow connections  %s", m.CalmP99Micros, m.P99Micros, m.errorNote())
	}
	return fmt.Sprintf("%8.0f req/s  p50 %7.0f us  p99 %8.0f us  cpu %7.1f us/req  %s",
		m.RequestsPerSecond, m.P50Micros, m.P99Micros, m.CPUMicros, m.errorNote())
}

// measure measures one scenario at a place.
func (s *session) measure(ctx context.Context, at place, sc scenario, round int) (measurement, error) {
	switch sc.kind {
	case idle:
		return s.measureIdle(ctx, at, sc)
	case crowded:
		return s.measureCrowded(ctx, at, sc, round)
	}
	return s.measureLoad(ctx, at, sc)
}

// warmUp is how long a scenario runs, unmeasured, before it is measured: a target is freshly started.
const warmUp = time.Second

func (s *session) load(at place, sc scenario, duration time.Duration) load {
	l := load{url: "http://" + at.address + at.job.path(sc.path), key: apiKey, connections: s.connections, duration: duration}
	if sc.kind == denied {
		l.key = wrongKey
	}
	return l
}

func (s *session) drive(ctx context.Context, l load) (loadReport, error) {
	return drive(ctx, s.tools.wrk.path, s.script, l)
}

// measureLoad has wrk make the load.
func (s *session) measureLoad(ctx context.Context, at place, sc scenario) (measurement, error) {
	if _, err := s.drive(ctx, s.load(at, sc, warmUp)); err != nil {
		return measurement{}, err
	}
	proxyBefore, originBefore, err := s.usages(at.pid)
	if err != nil {
		return measurement{}, err
	}
	report, err := s.drive(ctx, s.load(at, sc, s.duration))
	if err != nil {
		return measurement{}, err
	}
	proxy, origin, err := s.usages(at.pid)
	if err != nil {
		return measurement{}, err
	}
	m := newMeasurement(report, sc)
	m.CPUMicros = perRequest(proxy.CPU-proxyBefore.CPU, report.requests)
	m.OriginCPUMicros = perRequest(origin.CPU-originBefore.CPU, report.requests)
	m.ContextSwitches = float64(max(0, proxy.Switches-proxyBefore.Switches)) / float64(report.requests)
	m.ReadBytes = float64(max(0, proxy.ReadBytes-proxyBefore.ReadBytes)) / float64(report.requests)
	m.ResidentBytes, m.Processes = proxy.ResidentBytes, proxy.Processes
	return m, nil
}

// measureCrowded measures the same load with slow connections beside it and alone; which one comes first changes
// from round to round.
func (s *session) measureCrowded(ctx context.Context, at place, sc scenario, round int) (measurement, error) {
	var alone, beside measurement
	calm := func() (err error) {
		alone, err = s.measureLoad(ctx, at, sc)
		return err
	}
	busy := func() error {
		c, err := gather(ctx, at.address, s.slow)
		if err != nil {
			return err
		}
		defer c.leave()
		beside, err = s.measureLoad(ctx, at, sc)
		return err
	}
	steps := []func() error{calm, busy}
	if round%2 == 0 {
		steps = []func() error{busy, calm}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return measurement{}, err
		}
	}
	beside.CalmP99Micros = alone.P99Micros
	beside.SocketErrors += alone.SocketErrors
	beside.UnexpectedStatuses += alone.UnexpectedStatuses
	return beside, nil
}

// measureIdle compares the proxy's memory before and after connections that do one request each and stay. What it
// sets up once for any number of them, a few that have come and gone before have made it set up.
func (s *session) measureIdle(ctx context.Context, at place, sc scenario) (measurement, error) {
	few, err := sit(ctx, at.address, min(s.connections, s.idle), sc)
	if err != nil {
		return measurement{}, err
	}
	few.leave()
	before, err := s.settledMemory(ctx, at.pid)
	if err != nil {
		return measurement{}, err
	}
	all, err := sit(ctx, at.address, s.idle, sc)
	if err != nil {
		return measurement{}, err
	}
	defer all.leave()
	after, err := s.settledMemory(ctx, at.pid)
	if err != nil {
		return measurement{}, err
	}
	if err := all.again(ctx); err != nil {
		return measurement{}, err
	}
	return measurement{
		Requests: int64(s.idle), IdleConnections: s.idle, ResidentBytes: after.ResidentBytes, Processes: after.Processes,
		IdleBytes: float64(after.ResidentBytes-before.ResidentBytes) / float64(s.idle),
	}, nil
}

// settledMemory waits until the memory of a process tree stays the same for a second, at most ten.
func (s *session) settledMemory(ctx context.Context, pid int) (proctree.Usage, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var last proctree.Usage
	for ticks, same := 0, 0; ticks < 40 && same < 4; ticks++ {
		select {
		case <-ctx.Done():
			return proctree.Usage{}, ctx.Err()
		case <-tick.C:
		}
		now, err := proctree.Read(s.proc, pid)
		if err != nil {
			return proctree.Usage{}, err
		}
		if same++; now.ResidentBytes != last.ResidentBytes {
			same = 0
		}
		last = now
	}
	return last, nil
}

// usages reads what proxy and origin have used; that of one without processes of its own is zero.
func (s *session) usages(pid int) (proxy, origin proctree.Usage, err error) {
	if pid != 0 {
		if proxy, err = proctree.Read(s.proc, pid); err != nil {
			return proxy, origin, fmt.Errorf("proxy: %w", err)
		}
	}
	if s.origin.pid != 0 {
		if origin, err = proctree.Read(s.proc, s.origin.pid); err != nil {
			return proxy, origin, fmt.Errorf("origin: %w", err)
		}
	}
	return proxy, origin, nil
}

// newMeasurement fills in what wrk knows.
func newMeasurement(r loadReport, sc scenario) measurement {
	wrong := r.statusErrors
	if sc.kind == denied {
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
