package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// admin talks to the host's admin API.
type admin struct {
	http.Client
	memory  string // the metric that memory is measured by
	collect func() // called before measuring; nil: nothing
}

func newAdmin(socket string, p *plan) *admin {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &admin{Client: http.Client{Transport: &http.Transport{DialContext: dial}}, memory: p.memory, collect: p.collect}
}

// waitReady waits until the host carries exchanges.
func (a *admin) waitReady(ctx context.Context) error {
	return until(ctx, time.Minute, "the host to be ready", func() (bool, error) {
		resp, err := a.Get("http://admin/readyz")
		if err != nil {
			return false, nil // not listening yet
		}
		resp.Body.Close()
		return resp.StatusCode == 200, nil
	})
}

// swap makes the manifest the running generation.
func (a *admin) swap(ctx context.Context, manifest string) error {
	body, err := json.Marshal(map[string]string{"path": manifest})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://admin/v1/swap", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("content-type", "application/json")
	resp, err := a.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return fmt.Errorf("status %d: %s, %v", resp.StatusCode, text, err)
	}
	return nil
}

// gauges are what must come back to where it was.
type gauges struct {
	goroutines float64
	memoryMiB  float64
	files      float64
}

func (a *admin) gauges() (g gauges, draining float64, err error) {
	if a.collect != nil {
		a.collect()
	}
	resp, err := a.Get("http://admin/metrics")
	if err != nil {
		return g, 0, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return g, 0, err
	}
	value := func(name string) float64 {
		if f := families[name]; f != nil {
			return f.Metric[0].GetGauge().GetValue()
		}
		err = fmt.Errorf("/metrics has no %s", name)
		return 0
	}
	g.goroutines = value("go_goroutines")
	g.memoryMiB = value(a.memory) / (1 << 20)
	if f := families["process_open_fds"]; f != nil { // not on every system
		g.files = f.Metric[0].GetGauge().GetValue()
	}
	draining = value("ergo_generations_draining")
	return g, draining, err
}

// settle waits until old generations are closed and goroutines no longer
// become fewer.
func (a *admin) settle(ctx context.Context) (gauges, error) {
	var last gauges
	err := until(ctx, time.Minute, "old generations to be closed", func() (bool, error) {
		g, draining, err := a.gauges()
		settled := draining == 0 && g.goroutines == last.goroutines
		last = g
		return settled, err
	})
	return last, err
}

// What may differ after thousands of swaps: a few goroutines of timers and
// connections, and memory that the collector has not given back yet.
const (
	spareGoroutines = 10
	spareFiles      = 10
	spareMiB        = 48
)

// settleTo waits until goroutines, memory and files are back to where they were.
func (a *admin) settleTo(ctx context.Context, before gauges) (gauges, error) {
	var last gauges
	err := until(ctx, 2*time.Minute, "goroutines, memory and files to come back", func() (bool, error) {
		g, draining, err := a.gauges()
		last = g
		return draining == 0 && g.goroutines <= before.goroutines+spareGoroutines &&
			g.memoryMiB <= before.memoryMiB+spareMiB && g.files <= before.files+spareFiles, err
	})
	if err != nil {
		return last, fmt.Errorf("%w: before %+v, now %+v", err, before, last)
	}
	return last, nil
}

// until asks again and again whether something has come true.
func until(ctx context.Context, limit time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}
