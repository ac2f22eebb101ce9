package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

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
	Slow         int               `json:"slow_connections"`
	Goals        []goal            `json:"goals"`
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
	if err := raiseFileLimit(2*peerConnections + 1000); err != nil {
		return nil, err
	}
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
		Machine: readMachine(s.proc), Rounds: s.rounds, Seconds: s.duration.Seconds(), Connections: s.connections, Slow: s.slow,
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
	s.result.Goals = s.result.goals()
	return s.result, nil
}

func (s *session) makeDir(name string) (string, error) {
	dir := filepath.Join(s.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// place is where a target serves.
type place struct {
	dir, address string
	job          job
	pid          int // of its process tree; 0: there is no proxy
}

// measureTarget measures a target in every scenario that it has a part in. The idle connections are measured on a
// process of their own, whose memory no load has grown.
func (s *session) measureTarget(ctx context.Context, t target, round int, progress string) error {
	var loads, alone []scenario
	for _, sc := range s.scenarios {
		switch {
		case !sc.suits(t):
		case sc.kind == idle:
			alone = append(alone, sc)
		default:
			loads = append(loads, sc)
		}
	}
	for _, together := range [][]scenario{loads, alone} {
		if len(together) == 0 {
			continue
		}
		err := s.serve(ctx, t, func(at place) error {
			for _, sc := range together {
				m, err := s.measure(ctx, at, sc, round)
				if err != nil {
					return fmt.Errorf("%s: %w", sc.name, err)
				}
				m.Round, m.Target, m.Scenario = round, t.name, sc.name
				s.result.Measurements = append(s.result.Measurements, m)
				fmt.Fprintf(s.out, "%s  %-13s %-10s %s\n", progress, t.name, sc.name, m)
				if err := s.profileLoad(ctx, t, at, sc, round); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serve starts a target, checks that it does its job, and ends it when measure returns.
func (s *session) serve(ctx context.Context, t target, measure func(at place) error) error {
	at := place{address: s.origin.address, job: t.job}
	if t.name != direct {
		c, started, err := s.startTarget(ctx, t)
		if err != nil {
			return err
		}
		defer c.stop()
		at = started
	}
	if err := verify(ctx, at.address, t.job, s.scenarios); err != nil {
		return err
	}
	return measure(at)
}

func (s *session) startTarget(ctx context.Context, t target) (*child, place, error) {
	dir, err := s.makeDir(t.name)
	if err != nil {
		return nil, place{}, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, place{}, err
	}
	start, err := t.prepare(site{Dir: dir, Listen: listen, Origin: s.origin.address, Job: t.job})
	if err != nil {
		return nil, place{}, err
	}
	c, err := startChild(dir, start.argv, start.env)
	if err != nil {
		return nil, place{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.waitReady(ctx, listen); err != nil {
		c.stop()
		return nil, place{}, err
	}
	return c, place{dir: dir, address: listen, job: t.job, pid: c.pid()}, nil
}
