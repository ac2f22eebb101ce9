package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/manifest"
)

// tokenVariable gives commands the admin token when --admin names the host.
const tokenVariable = "ERGO_ADMIN_TOKEN"

// remote is how a command finds a running host, and how it prints.
type remote struct {
	path    string // of the manifest that says where
	address string // instead of it
	asJSON  bool
}

func (r *remote) flags(cmd *cobra.Command) {
	manifestFlag(cmd, &r.path)
	cmd.Flags().StringVar(&r.address, "admin", "",
		"the host's admin address, with the token in "+tokenVariable+" (default: as in the manifest)")
	jsonFlag(cmd, &r.asJSON)
}

// client returns a client for the host; its user closes it.
func (r *remote) client() (*admin.Client, error) {
	if r.address != "" {
		return admin.NewClient(r.address, os.Getenv(tokenVariable)), nil
	}
	host, err := manifest.LoadHost(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: name the manifest with -c, or the host's admin address with --admin", err)
	case err != nil:
		return nil, err
	case host.Admin == "":
		return nil, fmt.Errorf("%s gives the host no admin address", r.path)
	}
	return admin.NewClient(host.Admin, host.AdminToken.Reveal()), nil
}
