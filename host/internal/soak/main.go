// Command soak proves that no swap loses or breaks an exchange: it starts the
// real binary, keeps every kind of traffic going through it, and swaps policy
// code, configuration, order and upstreams all the while.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("ergo", "./ergo", "the binary to start")
	policies := flag.String("policies", "policies", "folder of the shipped policies")
	swaps := flag.Int("swaps", 2000, "how many swaps")
	limit := flag.Duration("limit", 15*time.Minute, "the longest that all may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	report, err := soakBinary(ctx, *binary, plan{
		policies: *policies, swaps: *swaps, progress: os.Stderr, memory: "process_resident_memory_bytes",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	fmt.Println(report)
}

// soakBinary runs the plan against a process of its own.
func soakBinary(ctx context.Context, binary string, p plan) (*report, error) {
	folder, err := os.MkdirTemp("", "ergo-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	return p.run(ctx, folder, func(ctx context.Context, manifest string) (func() error, func() string, error) {
		log, err := os.Create(filepath.Join(folder, "log"))
		if err != nil {
			return nil, nil, err
		}
		host := exec.Command(binary, "run", "-c", manifest)
		host.Stdout, host.Stderr = log, log
		if err := host.Start(); err != nil {
			return nil, nil, err
		}
		stop := func() error {
			defer log.Close()
			if err := host.Process.Signal(syscall.SIGTERM); err != nil {
				return err
			}
			return host.Wait()
		}
		read := func() string {
			text, err := os.ReadFile(log.Name())
			if err != nil {
				return err.Error()
			}
			return string(text)
		}
		return stop, read, nil
	})
}
