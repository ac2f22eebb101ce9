package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/wasm"
)

// checkResult is what check --json prints.
type checkResult struct {
	OK       bool          `json:"ok"`
	Problems []admin.Place `json:"problems"`
	Warnings []string      `json:"warnings"`
	Policies int           `json:"policies"` // that were compiled and configured
}

type checkOptions struct {
	path, tier string
	asJSON     bool
}

func newCheck(out Streams) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say all that is wrong with a manifest",
		Long: `Build a generation as 'ergo run' does, compile and configure every policy, and
throw it away. A running host is not touched.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 1 {
				o.path = files[0]
			}
			mode, err := modeOf(o.tier)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return o.run(cmd.Context(), mode, out)
		},
	}
	manifestFlag(cmd, &o.path)
	cmd.Flags().StringVar(&o.tier, "tier", "", `check for one tier alone: "edge" or "service" (default both)`)
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, mode engine.Mode, out Streams) error {
	done := progress(out.Err, "compiling and configuring policies ...")
	change, err := check(ctx, o.path, mode, out)
	done()
	if o.asJSON {
		return printCheck(out, change, err)
	}
	if err != nil {
		return err
	}
	p := newPrinter(out.Out)
	for _, warning := range change.Warnings {
		fmt.Fprintln(p.w, p.accent.Render("warning:"), warning)
	}
	fmt.Fprintf(p.w, "%s %s is right: %s compiled and configured in %s\n",
		p.good.Render("ok:"), o.path, count(change.Loaded, "policy"), short(change.Took))
	return nil
}

// check builds a generation and throws it away.
func check(ctx context.Context, path string, mode engine.Mode, out Streams) (*engine.Change, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find manifest: %w", err)
	}
	m, err := load(engine.Source{Path: path})
	if err != nil {
		return nil, err
	}
	m.Close() // the engine reads it again
	log := telemetry.NewLogger(out.Err, m.Host.Log.Format, slog.LevelWarn)
	w := wiring{mode: mode, guests: wasm.Options{CacheDir: m.Host.CompiledDir()}, state: m.State, responses: inMemory(m.Cache), log: log}
	p, err := newParts(w)
	if err != nil {
		// Another user's host may own the cache; without it compiling is slower.
		w.guests.CacheDir = ""
		if p, err = newParts(w); err != nil {
			return nil, err
		}
	}
	change, err := p.engine.Check(ctx, engine.Source{Path: path})
	return change, errors.Join(err, p.close(context.WithoutCancel(ctx)))
}

// printCheck prints the result for programs; problems are its result, other
// errors are its failure.
func printCheck(out Streams, change *engine.Change, err error) error {
	result := checkResult{OK: err == nil, Problems: []admin.Place{}, Warnings: []string{}}
	var problems manifest.Problems
	switch {
	case errors.As(err, &problems):
		for _, problem := range problems {
			result.Problems = append(result.Problems, admin.Place(problem))
		}
	case err != nil:
		return err
	default:
		result.Warnings = append(result.Warnings, change.Warnings...)
		result.Policies = change.Loaded
	}
	if printErr := printJSON(out.Out, result); printErr != nil {
		return printErr
	}
	if err != nil {
		return reportedError{err}
	}
	return nil
}
