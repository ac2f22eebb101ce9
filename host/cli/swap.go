package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
)

func newSwap(out Streams) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "swap [FILE]",
		Short: "Have the running host run a manifest",
		Long: `Have the running host run FILE, or its own manifest read again. Either all of it
runs from the next exchange on, or nothing changes and all problems are printed.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			var req admin.SwapRequest
			if len(files) == 1 {
				var err error
				if req, err = swapTo(files[0]); err != nil {
					return err
				}
			}
			return r.change(cmd.Context(), out, func(ctx context.Context, c *admin.Client) (*engine.Change, error) {
				return c.Swap(ctx, req)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// swapTo reads a manifest, so that what runs is what its owner sees, wherever
// the host is and whatever it may read.
func swapTo(file string) (admin.SwapRequest, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return admin.SwapRequest{}, fmt.Errorf("find manifest: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return admin.SwapRequest{}, fmt.Errorf("read manifest: %w", err)
	}
	return admin.SwapRequest{Path: path, Manifest: string(text)}, nil
}

func newRollback(out Streams) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "rollback [N]",
		Short: "Have the running host run the generation before, or N before",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			steps := 1
			if len(words) == 1 {
				var err error
				if steps, err = strconv.Atoi(words[0]); err != nil || steps < 1 {
					return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a number of generations: say 1 or more", words[0])}
				}
			}
			return r.change(cmd.Context(), out, func(ctx context.Context, c *admin.Client) (*engine.Change, error) {
				return c.Rollback(ctx, steps)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// change asks the host for a swap or rollback and prints what came of it.
func (r *remote) change(ctx context.Context, out Streams, ask func(context.Context, *admin.Client) (*engine.Change, error)) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	defer client.Close()
	change, err := ask(ctx, client)
	if err != nil {
		return r.refused(out, err)
	}
	if r.asJSON {
		return printJSON(out.Out, change)
	}
	printChange(newPrinter(out.Out), change)
	return nil
}

// refused passes on an error; with --json the host's own words are the result.
func (r *remote) refused(out Streams, err error) error {
	problem, ok := err.(*admin.Problem)
	if !ok || !r.asJSON {
		return mended(err)
	}
	if err := printJSON(out.Out, problem); err != nil {
		return err
	}
	return reportedError{problem}
}

func printChange(p *printer, c *engine.Change) {
	for _, warning := range c.Warnings {
		fmt.Fprintln(p.w, p.accent.Render("warning:"), warning)
	}
	if c.From == c.To {
		fmt.Fprintf(p.w, "nothing is new: generation %d goes on\n", c.To)
		return
	}
	fmt.Fprintf(p.w, "%s generation %d runs, after %d (%s loaded, %d kept, %s)\n",
		p.good.Render("done:"), c.To, c.From, count(c.Loaded, "policy"), c.Kept, short(c.Took))
	for _, line := range c.Changes {
		fmt.Fprintln(p.w, "  "+line)
	}
	for _, name := range c.NeedsRestart {
		fmt.Fprintln(p.w, p.accent.Render("  after a restart:"), name)
	}
}

func printHistory(p *printer, records []engine.Record) {
	running := -1 // what made the running generation so last
	for i, r := range records {
		if r.Running {
			running = i
		}
	}
	rows := make([][]string, len(records))
	for i, r := range records {
		result, detail := "done", first(r.Changes)
		switch {
		case r.Refused:
			result, detail = p.bad.Render("refused"), first(r.Problems)
		case i == running:
			result = p.good.Render("running")
		}
		rows[i] = []string{
			r.Time.Local().Format(time.DateTime), strconv.FormatUint(r.To, 10), r.Cause, result,
			short(r.Took), digest(r.Digest), detail,
		}
	}
	p.table([]string{"TIME", "GENERATION", "CAUSE", "RESULT", "TOOK", "DIGEST", "WHAT"}, rows)
}

// first returns the first of several lines, and how many more there are.
func first(lines []string) string {
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	}
	return fmt.Sprintf("%s (and %d more)", lines[0], len(lines)-1)
}
