package cli

import (
	"context"
	"fmt"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
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
		Args: args(noFile),
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

// noFile points whoever names a manifest as other commands take it to the flag:
// a host's manifest can be told from a process list.
func noFile(_ *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("run takes no argument %q: name the manifest with -c %s", words[0], words[0])
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
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	path, err := filepath.Abs(o.path)
	if err != nil {
		return fmt.Errorf("find manifest: %w", err)
	}
	m, err := load(engine.Source{Path: path})
	if err != nil {
		return err
	}
	starting, started := untilSignal(ctx, signals)
	h, err := startHost(starting, path, m, mode, out)
	started()
	m.Close() // the engine has read it again
	if err != nil {
		return err
	}
	// net/http says some things to the standard logger, as often as an endpoint
	// makes it.
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(h.log.Handler(), slog.LevelDebug).Writer())
	h.announce()
	if o.demo {
		printDemo(newPrinter(out.Out), h)
	}
	h.attend(ctx, signals)
	return h.stop(signals)
}

// attend swaps on SIGHUP until a signal or the end of ctx asks the host to end.
func (h *host) attend(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				return
			}
			// What is wrong is in the log and the history.
			_, _ = h.control.Swap(ctx, "signal", engine.Source{})
		case <-ctx.Done():
			return
		}
	}
}

// stop shuts down gracefully; the next signal ends the grace.
func (h *host) stop(signals <-chan os.Signal) error {
	limit := shutdownTimeout(h.engine.Manifest())
	h.log.Info("shutting down: a second signal ends it at once",
		"exchanges", h.engine.Status().Generation.InFlight, "timeout", limit.String())
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ctx, done := untilSignal(ctx, signals)
	defer done()
	err := h.shutdown(ctx)
	if cutOff(err) {
		return reportedError{err}
	}
	return err
}

// untilSignal returns a context that the next signal ends, unless it is SIGHUP.
// done stops waiting for one, and must be called.
func untilSignal(parent context.Context, signals <-chan os.Signal) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(parent)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP {
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() { cancel(); waiting.Wait() }
}
