// Command vault-keys has keys, and the encryption of whole bodies, come from a server with the HTTP API of
// HashiCorp Vault, as OpenBao has it too: it is a source of keys for [key.NAME.source], from the KV engine in its
// version 2, and a policy that has the transit engine encrypt and decrypt.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

func main() { plugin.Serve(configure) }

// config is as policy.toml says.
type config struct {
	Address   string   `json:"address"`
	Namespace string   `json:"namespace"`
	AppRole   *appRole `json:"approle"`
	KV        *kv      `json:"kv"`
	Transit   *transit `json:"transit"`
}

// vault is the policy.
type vault struct {
	config
	settle  time.Duration
	session *session
}

var (
	_ plugin.KeySource           = (*vault)(nil)
	_ plugin.RequestHandler      = (*vault)(nil)
	_ plugin.RequestBodyHandler  = (*vault)(nil)
	_ plugin.ResponseBodyHandler = (*vault)(nil)
)

func configure(c plugin.Config) (any, error) {
	v := new(vault)
	if err := json.Unmarshal(c.JSON, &v.config); err != nil {
		return nil, err
	}
	v.complete()
	if v.KV != nil {
		var err error
		if v.settle, err = time.ParseDuration(v.KV.Settle); err != nil || v.settle < 0 {
			return nil, fmt.Errorf("config.kv.settle: %q is not a duration", v.KV.Settle)
		}
	}
	v.session = &session{server: server{v.Address, v.Namespace}, role: v.AppRole}
	return v, nil
}

// complete fills in the defaults of policy.toml.
func (c *config) complete() {
	if c.AppRole != nil {
		c.AppRole.Mount = cmp.Or(c.AppRole.Mount, "approle")
	}
	if k := c.KV; k != nil {
		k.Mount, k.Field, k.Settle = cmp.Or(k.Mount, "secret"), cmp.Or(k.Field, "key"), cmp.Or(k.Settle, "10m")
	}
	if c.Transit != nil {
		c.Transit.Mount = cmp.Or(c.Transit.Mount, "transit")
	}
}

// Start follows plugin.Starter. It asks the server nothing: who needs that finds out.
func (v *vault) Start(ctx context.Context, h *plugin.Host) error {
	if err := v.session.open(ctx, h); err != nil {
		return err
	}
	go v.session.keep(ctx)
	return nil
}
