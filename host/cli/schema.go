package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/manifest"
)

func newSchema(out Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the manifest, for editors",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			schema, err := manifest.JSONSchema()
			if err != nil {
				return fmt.Errorf("make schema: %w", err)
			}
			_, err = out.Out.Write(schema)
			return err
		},
	}
}
