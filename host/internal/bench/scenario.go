package main

import (
	"fmt"
	"strconv"
	"strings"
)

// kind is what a scenario is about.
type kind int

const (
	passed  kind = iota // requests that reach the origin
	denied              // requests with a wrong key, which the proxy answers
	crowded             // as passed, without and then with slow connections beside them
	idle                // connections that did one request each and wait
)

// The names of the scenarios that are not the size of an answer.
const (
	denyScenario = "deny"
	slowScenario = "slow-loris"
	idleScenario = "idle"
)

// defaultScenarios are what a run measures.
const defaultScenarios = "1KiB,64KiB,1MiB," + denyScenario + "," + slowScenario + "," + idleScenario

// scenario is one kind of traffic.
type scenario struct {
	name  string
	path  string // at the origin
	bytes int    // the length of the origin's answer
	kind  kind
}

// maxBodyBytes bounds an answer, which the harness and the origin hold in memory.
const maxBodyBytes = 64 << 20

// suits reports whether a target has a part in the scenario. What is about connections is about no policy.
func (s scenario) suits(t target) bool {
	switch s.kind {
	case denied:
		return t.job.Keyed
	case crowded, idle:
		return t.name != direct && t.job == job{}
	default:
		return true
	}
}

func parseScenarios(list string) ([]scenario, error) {
	var all []scenario
	seen := map[string]bool{}
	for _, name := range splitList(list) {
		if seen[name] {
			return nil, fmt.Errorf("-scenarios names %q twice", name)
		}
		seen[name] = true
		s, err := parseScenario(name)
		if err != nil {
			return nil, fmt.Errorf("-scenarios: %w", err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("-scenarios is empty: want of %s", defaultScenarios)
	}
	return all, nil
}

func parseScenario(name string) (scenario, error) {
	small := scenario{name: name, path: "/1KiB", bytes: 1 << 10}
	switch name {
	case denyScenario:
		small.kind = denied
		return small, nil
	case slowScenario:
		small.kind = crowded
		return small, nil
	case idleScenario:
		small.kind = idle
		return small, nil
	}
	size, err := parseSize(name)
	return scenario{name: name, path: "/" + name, bytes: size}, err
}

// parseSize reads a length such as 512B, 64KiB or 1MiB, in bytes.
func parseSize(s string) (int, error) {
	for _, unit := range []struct {
		suffix string
		bytes  int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"B", 1}} {
		digits, found := strings.CutSuffix(s, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > maxBodyBytes/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("%q is neither %s, %s, %s nor a size: want for instance 1KiB, 64KiB or 1MiB, at most %dMiB",
		s, denyScenario, slowScenario, idleScenario, maxBodyBytes>>20)
}
