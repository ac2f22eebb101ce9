package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// options is what the command line asks for.
type options struct {
	rounds      int
	duration    time.Duration // of one measurement; whole seconds, as wrk counts them
	connections int           // that wrk keeps busy
	slow, idle  int           // connections in the scenarios of these names
	only        []string      // targets or families of targets; none: all
	scenarios   []scenario
	profile     bool
	folder      string // for the reports
}

// maxIdle is the most connections that the peers are configured for, with room for the busy ones.
const maxIdle = peerConnections - 1000

// usageText comes before the list of flags.
const usageText = `bench measures what a request costs in Ergo and in the proxies it is compared with.

Each round drives every target through every scenario, one after another; figures are medians over the rounds.
With everything installed and the defaults a run takes about 25 minutes; for a first look:

  make bench FLAGS='-only nginx-plain,nginx-njs,ergo-0,ergo-2 -scenarios 1KiB -rounds 3'

Scenarios: an answer's size (1KiB, 64KiB, 1MiB); deny, requests with a wrong key; slow-loris, p99 of the busy
connections without and with -slow others that send a byte now and then; idle, resident memory for each of
-idle connections that did one request.

`

func parseOptions(arguments []string, out io.Writer) (options, error) {
	var o options
	var only, scenarios string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usageText)
		flags.PrintDefaults()
	}
	flags.IntVar(&o.rounds, "rounds", 5, "how often every target is measured; medians are over rounds")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one measurement, in whole seconds")
	flags.IntVar(&o.connections, "connections", 64, "connections that wrk keeps busy")
	flags.IntVar(&o.slow, "slow", 256, "slow connections in the scenario "+slowScenario)
	flags.IntVar(&o.idle, "idle", 5000, "connections in the scenario "+idleScenario)
	flags.StringVar(&only, "only", "", "comma-separated targets (nginx, ergo-5) or families (ergo); empty: all")
	flags.StringVar(&scenarios, "scenarios", defaultScenarios, "comma-separated scenarios, see above")
	flags.StringVar(&scenarios, "bodies", defaultScenarios, "another name of -scenarios")
	flags.BoolVar(&o.profile, "profile", false, "after the last round, also take a CPU profile of Ergo under each scenario's load, to OUT/TARGET-SCENARIO.pprof")
	flags.StringVar(&o.folder, "out", ".bench", "folder for report.md, cpu.svg, goals.svg and raw.json")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	o.only = splitList(only)
	var err error
	if o.scenarios, err = parseScenarios(scenarios); err == nil {
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
	case o.slow < 1:
		return fmt.Errorf("-slow %d: want 1 or more", o.slow)
	case o.idle < 1 || o.idle > maxIdle:
		return fmt.Errorf("-idle %d: want 1 to %d", o.idle, maxIdle)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return fmt.Errorf("-duration %v: want whole seconds, 1s or more", o.duration)
	}
	return nil
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
