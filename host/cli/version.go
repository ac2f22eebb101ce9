package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Build says what the binary was built from.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // there were changes on top of Revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// String is what a person reads.
func (b Build) String() string {
	return fmt.Sprintf("ergo %s (%s, %s)", b.Version, b.Go, b.Platform)
}

func newVersion(out Streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				return printJSON(out.Out, b)
			}
			fmt.Fprintln(out.Out, b)
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// readBuild asks the Go linker's record of the build.
func readBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// version is the short name of the build, for logs and metrics.
func version() string { return readBuild().Version }
