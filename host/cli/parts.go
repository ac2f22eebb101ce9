package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process"
	"github.com/ergoproxy/ergo/host/server"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/upstream"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/capability"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm"
)

// capabilities are the host modules that a manifest can grant.
func capabilities() []wasm.HostModule {
	return []wasm.HostModule{
		capability.Route(), capability.Log(), capability.HTTP(),
		capability.Metric(), capability.Secret(), capability.Clock(capability.SystemTime()),
		capability.Identity(), capability.Identify(), capability.Connection(), capability.KV(), capability.Cache(), capability.Random(),
		capability.Crypto(),
	}
}

// loaders are the kinds of policies, by the ABI that policy.toml names.
func loaders(guests *wasm.Engine) map[string]policy.Loader {
	return map[string]policy.Loader{
		"http-wasm": httpwasm.NewLoader(guests), "proxy-wasm": proxywasm.NewLoader(guests), policy.Plugin: process.Loader{},
	}
}

// grants are the names of all capabilities.
func grants() []string {
	var names []string
	for _, module := range capabilities() {
		names = append(names, module.Name)
	}
	return names
}

// parts are what a generation is built from and outlives it.
type parts struct {
	guests    *wasm.Engine
	upstreams *upstream.Registry
	state     *state.Registry
	caches    *caches
	gate      *keyring.Gate
	metrics   *telemetry.Metrics // nil: exported nowhere
	engine    *engine.Engine
}

// wiring is what parts are made with.
type wiring struct {
	mode      engine.Mode
	guests    wasm.Options   // its capabilities and log are those of the parts
	state     manifest.State // for the life of the process
	responses manifest.Cache // likewise
	telemetry *telemetry.Telemetry
	listeners engine.Listeners
	log       *slog.Logger
}

// newParts puts an engine together; telemetry and listeners may be nil.
func newParts(w wiring) (*parts, error) {
	tel, log := w.telemetry, w.log
	memory, err := openState(w.state, log)
	if err != nil {
		return nil, err
	}
	w.guests.Capabilities, w.guests.Log = capabilities(), log
	guests, err := wasm.Open(w.guests)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open compilation cache: %w", err), memory.Close())
	}
	responses, err := openCaches(w.responses, memory.Server(), log)
	if err != nil {
		return nil, errors.Join(err, memory.Close(), guests.Close(context.Background()))
	}
	p := &parts{guests: guests, state: memory, caches: responses, gate: keyring.NewGate()}
	registry := upstream.Options{Log: log}
	if tel != nil {
		p.metrics = tel.Metrics
		registry.RED, registry.Metrics = tel.Metrics.Upstream, tel.Metrics
	}
	p.upstreams = upstream.NewRegistry(registry)
	p.engine = engine.New(engine.Options{
		Mode: w.mode, Loaders: loaders(guests), Grants: grants(), Grant: p.grant,
		Upstreams: p.upstreams, Listeners: w.listeners, Telemetry: tel, Log: log,
	})
	return p, nil
}

// close ends the parts, those above first.
func (p *parts) close(ctx context.Context) error {
	return errors.Join(p.engine.Close(ctx), p.upstreams.Close(ctx), p.guests.Close(ctx), p.caches.close(), p.state.Close())
}

// doors makes a server what an engine wants of listeners.
type doors struct{ server *server.Server }

// Prepare follows engine.Listeners.
func (d *doors) Prepare(wanted []manifest.Listener) (engine.ListenerChange, error) {
	change, err := d.server.Prepare(wanted)
	var problems server.Problems
	if errors.As(err, &problems) {
		errs := make(engine.ListenerErrors, len(problems))
		for i, p := range problems {
			errs[i] = &engine.ListenerError{Index: p.Listener, Key: p.Path, Err: p.Err}
		}
		return nil, errs
	}
	if err != nil {
		return nil, err
	}
	return change, nil
}
