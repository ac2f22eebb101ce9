package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
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

// mended adds to an error what an operator can do about it.
func mended(err error) error {
	var refused *admin.Problem
	var dial *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: set %s, or name a manifest with the host's admin_token", err, tokenVariable)
	case !errors.As(err, &dial) || dial.Op != "dial":
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: be the user that runs the host", err)
	}
	return fmt.Errorf("%w: start the host, or name the one that runs with -c or --admin", err)
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
