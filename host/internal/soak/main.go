// Command soak proves that no swap loses or breaks an exchange: it starts the
// real binary, keeps every kind of traffic going through it, and swaps policy
// code, configuration, order and upstreams all the while. With -wasm it proves that
// hostile guests harm nobody else.
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
	wasm := flag.Bool("wasm", false, "guests that do their worst beside sound ones, instead")
	length := flag.Duration("for", 10*time.Minute, "how long, with -wasm")
	limit := flag.Duration("limit", 15*time.Minute, "the longest that all may take")
	flag.Parse()
	if *wasm {
		*limit += *length
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	const memory = "process_resident_memory_bytes"
	report, err := soakBinary(ctx, *binary, func(ctx context.Context, folder string, host start) (fmt.Stringer, error) {
		if *wasm {
			return guestPlan{
				policies: *policies, hostile: "host/wasm/testdata/hostile", sound: "host/internal/soak/testdata/sound.wasm",
				length: *length, memory: memory,
			}.run(ctx, folder, host)
		}
		return plan{policies: *policies, swaps: *swaps, progress: os.Stderr, memory: memory}.run(ctx, folder, host)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	fmt.Println(report)
}

// soakBinary runs a plan against a process of its own.
func soakBinary(ctx context.Context, binary string, run func(ctx context.Context, folder string, host start) (fmt.Stringer, error)) (fmt.Stringer, error) {
	folder, err := os.MkdirTemp("", "ergo-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	return run(ctx, folder, func(ctx context.Context, manifest string) (func() error, func() string, error) {
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
