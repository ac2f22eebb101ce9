package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/engine"
)

type runOptions struct {
	path string
	tier string
	demo bool
}

func newRun(out Streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a host by a manifest",
		Long: `Run a host by a manifest until SIGINT or SIGTERM; then exchanges in flight have
host.shutdown_timeout to end, or none after a second signal. Saving the manifest
or a file of a policy swaps, and so does SIGHUP.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode, err := modeOf(o.tier)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return run(cmd.Context(), o, mode, out)
		},
	}
	manifestFlag(cmd, &o.path)
	cmd.Flags().StringVar(&o.tier, "tier", "", `run one tier alone: "edge" or "service" (default both)`)
	cmd.Flags().BoolVar(&o.demo, "demo", false, "print commands to try on the manifest that comes with Ergo")
	return cmd
}

func modeOf(tier string) (engine.Mode, error) {
	switch tier {
	case "":
		return engine.Both, nil
	case "edge":
		return engine.Edge, nil
	case "service":
		return engine.Service, nil
	}
	return "", fmt.Errorf(`there is no tier %q: say "edge" or "service"`, tier)
}

// run is the life of a host process.
func run(ctx context.Context, o runOptions, mode engine.Mode, out Streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	path, err := filepath.Abs(o.path)
	if err != nil {
		return fmt.Errorf("find manifest: %w", err)
	}
	m, err := load(engine.Source{Path: path})
	if err != nil {
		return err
	}
	h, err := startHost(ctx, path, m, mode, out)
	if err != nil {
		return err
	}
	h.announce()
	if o.demo {
		printDemo(newPrinter(out.Out), h)
	}
	for running := true; running; {
		select {
		case <-hangups:
			// What is wrong is in the log and the history.
			_, _ = h.control.Swap(ctx, "signal", engine.Source{})
		case <-ctx.Done():
			running = false
		}
	}
	stop() // from here on a second signal is not ours to wait for
	return h.stop()
}

// stop shuts down gracefully; the next signal ends the grace.
func (h *host) stop() error {
	limit := shutdownTimeout(h.engine.Manifest())
	h.log.Info("shutting down: a second signal ends it at once", "exchanges", h.engine.Status().Generation.InFlight, "timeout", limit)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancelLimit := context.WithTimeout(ctx, limit)
	defer cancelLimit()
	err := h.shutdown(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		h.log.Warn("exchanges were cut off", "err", err)
		return reportedError{err}
	}
	return err
}
