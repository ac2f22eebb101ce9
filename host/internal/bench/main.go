// Command bench measures what a proxy costs: it drives Ergo and the proxies it is compared with over the same
// small job, one after another, on one machine, and writes tables, charts, every raw figure, and which of Ergo's
// goals are met. -help lists all flags.
//
//	go run ./host/internal/bench [-rounds 5] [-duration 3s] [-only nginx,ergo] [-scenarios 1KiB,idle] [-profile] [-out .bench]
//
// The job: 401 unless the header x-api-key is right, one header added to the request, one to the response. The
// figure to steer by is the CPU time per request of the proxy's whole process tree: on a machine whose cores
// are shared by load generator, proxy and origin it is what stays comparable. Each target is checked to do its
// job before it is timed. CPU time is read from /proc, so this runs on Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := exitStatus(run(ctx, os.Args[1:], os.Stdout), os.Stderr)
	stop()
	os.Exit(status)
}

// errUsage marks a mistake in the arguments.
var errUsage = errors.New("wrong usage")

// exitStatus reports err to w and turns it into 0 done, 1 failed, 2 wrong usage.
func exitStatus(err error, w io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(w, "bench:", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// run is the program: measure what the arguments ask for, then report. It leaves no process and no temporary
// file behind, also when ctx ends.
func run(ctx context.Context, arguments []string, out io.Writer) error {
	opts, err := parseOptions(arguments, out)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("CPU time is read from /proc, which %s has not: run this on Linux", runtime.GOOS)
	}
	repository, err := repositoryRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	tools := findTools(ctx)
	if !tools.wrk.installed() {
		return fmt.Errorf("wrk makes the load and is not installed: %s", tools.wrk.install)
	}
	selected, err := selectTargets(targets(tools, newErgo(ctx, repository, dir, out)), opts.only)
	if err != nil {
		return err
	}
	s := &session{options: opts, tools: tools, targets: selected, dir: dir, out: out}
	result, err := s.measureAll(ctx)
	if err != nil {
		return err
	}
	if err := writeReports(opts.folder, result, out); err != nil {
		return err
	}
	if len(result.Excluded) > 0 {
		return fmt.Errorf("%d of %d targets excluded, see above", len(result.Excluded), len(selected))
	}
	return nil
}
