// Command cachetests runs the public suite for HTTP caches (npm http-cache-tests)
// on the real binary: the suite's origin behind it, the suite's client before it.
// It prints the score, and fails where a case does otherwise than recorded in
// suite/not-passed.txt. It needs node and npm.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("ergo", "./ergo", "the binary to start")
	policy := flag.String("policy", "policies/cache", "the policy under test")
	work := flag.String("work", ".cache-tests", "where the suite is installed")
	only := flag.String("id", "", "run this case alone, with its messages")
	verbose := flag.Bool("v", false, "list all cases")
	limit := flag.Duration("limit", 10*time.Minute, "the longest that all may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	s, err := installSuite(ctx, *work)
	if err == nil {
		err = run(ctx, s, host{binary: *binary, policy: *policy}, *only, *verbose)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cachetests:", err)
		os.Exit(1)
	}
}

// run carries the suite out and judges it. Of a single case it shows all there is.
func run(ctx context.Context, s suite, h host, only string, verbose bool) error {
	origin, stopOrigin, err := s.startOrigin(ctx)
	if err != nil {
		return err
	}
	defer stopOrigin()
	address, stopHost, err := h.start(ctx, s.folder, origin)
	if err != nil {
		return err
	}
	defer stopHost()
	if only != "" {
		return s.show(ctx, address, only)
	}
	cases, err := s.cases(ctx)
	if err != nil {
		return err
	}
	results, err := s.run(ctx, address)
	if err != nil {
		return err
	}
	report := judge(cases, results)
	report.print(os.Stdout, verbose)
	return report.compare(readReasons(notPassed))
}
