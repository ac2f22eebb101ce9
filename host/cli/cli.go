// Package cli is the ergo command. It is the one place that knows every adapter:
// run puts the host's parts together, the other commands talk to a running host
// or need none.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses of the ergo command.
const (
	exitDone   = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2 // asked for in a way that is not understood
)

// Streams are what the command writes to: results to Out, everything else to Err.
type Streams struct{ Out, Err io.Writer }

// Main runs the command line and returns the process's exit status.
func Main(args []string, streams Streams) int {
	return Execute(context.Background(), args, streams)
}

// Execute is Main under a context, whose end stops a command as SIGTERM does.
func Execute(ctx context.Context, args []string, streams Streams) int {
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	p := newPrinter(streams.Err)
	var usage *usageError
	if errors.As(err, &usage) {
		p.failure(err)
		fmt.Fprintf(streams.Err, "Run '%s --help' for what it takes.\n", usage.command)
		return exitUsage
	}
	var said reportedError
	if !errors.As(err, &said) {
		p.failure(err)
	}
	return exitFailed
}

func newRoot(streams Streams) *cobra.Command {
	root := &cobra.Command{
		Use:                        "ergo",
		Version:                    readBuild().String(),
		Short:                      "A programmable HTTP proxy: two tiers of WebAssembly policies, swapped while traffic flows",
		Args:                       noCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:              true, // Execute prints them
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd.CommandPath(), err}
	})
	root.AddCommand(
		newRun(streams), newCheck(streams), newSwap(streams), newRollback(streams),
		newStatus(streams), newHistory(streams), newCache(streams), newSchema(streams), newVersion(streams),
	)
	return root
}

// usageError is a command line that is not understood.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *usageError) Unwrap() error { return e.err }

// reportedError ends a command that has said itself what went wrong.
type reportedError struct{ error }

// args turns cobra's complaints about arguments into a usageError.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{cmd.CommandPath(), err}
		}
		return nil
	}
}

// noCommand refuses a first word that is no command, with a near one if there is.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("there is no command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{cmd.CommandPath(), errors.New(message)}
}

// defaultManifest is the manifest of commands that are not told of another one.
const defaultManifest = "proxy.toml"

func manifestFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultManifest, "the manifest")
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print the result as JSON")
}
