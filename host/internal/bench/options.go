package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options is what the command line asks for.
type options struct {
	rounds      int
	duration    time.Duration // of one measurement; whole seconds, as wrk counts them
	connections int
	only        []string // targets or families of targets; none: all
	scenarios   []scenario
	out         string // the folder for the reports
}

// scenario is one kind of traffic.
type scenario struct {
	name   string
	path   string // at the origin
	bytes  int    // the length of the origin's answer
	denied bool   // requests carry a wrong key, so the proxy answers
}

// denyScenario is the name of the scenario in which every request is refused.
const denyScenario = "deny"

// maxBodyBytes bounds an answer, which the harness and the origin hold in memory.
const maxBodyBytes = 64 << 20

func parseOptions(arguments []string, out io.Writer) (options, error) {
	var o options
	var only, bodies string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&o.rounds, "rounds", 3, "how often every target is measured; medians are over rounds")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one measurement, in whole seconds")
	flags.IntVar(&o.connections, "connections", 64, "connections that wrk keeps busy")
	flags.StringVar(&only, "only", "", "comma-separated targets (nginx, ergo-5) or families (ergo); empty: all")
	flags.StringVar(&bodies, "bodies", "1KiB,64KiB,"+denyScenario, "comma-separated answer sizes, and "+denyScenario+" for refused requests")
	flags.StringVar(&o.out, "out", ".bench", "folder for report.md, cpu.svg and raw.json")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	o.only = splitList(only)
	var err error
	if o.scenarios, err = parseScenarios(bodies); err == nil {
		err = o.check(flags.Args())
	}
	if err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	return o, nil
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.rounds < 1:
		return fmt.Errorf("-rounds %d: want 1 or more", o.rounds)
	case o.connections < 1:
		return fmt.Errorf("-connections %d: want 1 or more", o.connections)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return fmt.Errorf("-duration %v: want whole seconds, 1s or more", o.duration)
	}
	return nil
}

func parseScenarios(list string) ([]scenario, error) {
	var all []scenario
	seen := map[string]bool{}
	for _, name := range splitList(list) {
		if seen[name] {
			return nil, fmt.Errorf("-bodies names %q twice", name)
		}
		seen[name] = true
		if name == denyScenario {
			all = append(all, scenario{name: name, path: "/1KiB", bytes: 1 << 10, denied: true})
			continue
		}
		size, err := parseSize(name)
		if err != nil {
			return nil, fmt.Errorf("-bodies: %w", err)
		}
		all = append(all, scenario{name: name, path: "/" + name, bytes: size})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("-bodies is empty: want sizes such as 1KiB, or %s", denyScenario)
	}
	return all, nil
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
	return 0, fmt.Errorf("%q is no size: want for instance 1KiB, 64KiB or 1MiB, at most %dMiB", s, maxBodyBytes>>20)
}

func splitList(list string) []string {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// repositoryRoot is the nearest folder, from the working folder up, with a go.mod.
func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above: run this inside the repository", start)
		}
	}
}
