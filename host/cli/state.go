package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
)

// openState makes the registry of what policies remember. Its settings are those
// of the first manifest, until a restart.
func openState(conf manifest.State, log *slog.Logger) (*state.Registry, error) {
	options := state.Options{MemoryBytes: int64(conf.Memory), Log: log}
	if r := conf.Redis; r != nil {
		options.Redis = &state.RedisOptions{
			Address: r.Address, Username: r.Username, Password: r.Password.Reveal(), Database: r.Database,
			Timeout: r.Timeout.D(), Connections: r.Connections, Prefix: r.Prefix,
		}
		if r.TLS != nil {
			var err error
			if options.Redis.TLS, err = clientTLS(r.TLS); err != nil {
				return nil, fmt.Errorf("prepare TLS for shared state: %w", err)
			}
		}
	}
	return state.NewRegistry(options), nil
}

func clientTLS(conf *manifest.UpstreamTLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: conf.ServerName, InsecureSkipVerify: conf.Insecure}
	if conf.CA != "" {
		pem, err := os.ReadFile(conf.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem) // validation has seen that there is one
	}
	if conf.Cert != "" {
		own, err := tls.LoadX509KeyPair(conf.Cert, conf.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// memory is what the policy may remember, nil if it may not.
func (p *parts) memory(name string, settings manifest.Policy) *policy.KV {
	if !slices.Contains(settings.Grants, "ergo_kv") {
		return nil
	}
	kv := settings.KV
	limits := state.Limits{Keys: int64(kv.Keys), Bytes: int64(kv.Bytes), ValueBytes: int64(kv.ValueBytes)}
	open := p.state.Local
	if kv.Store == "shared" {
		open = p.state.Remote
	}
	made := &policy.KV{Store: open(name, limits), Tell: kv.OnUnavailable == "tell"}
	if kv.Store == "shared" && kv.OnUnavailable == "local" {
		made.StandIn = p.state.Local(name, limits)
	}
	return made
}
