package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Workbench loads policies one by one, with what a manifest grants them, where no
// host runs: for tests of policies. It is safe for concurrent use.
type Workbench struct {
	parts   *parts
	loaders map[string]policy.Loader
}

// OpenWorkbench makes a workbench for the policies of a manifest. Close ends it.
func OpenWorkbench(m *manifest.Manifest, guests wasm.Options, log *slog.Logger) (*Workbench, error) {
	p, err := newParts(wiring{mode: engine.Both, guests: guests, state: m.State, responses: inMemory(m.Cache), log: log})
	if err != nil {
		return nil, err
	}
	return &Workbench{parts: p, loaders: loaders(p.guests)}, nil
}

// ParseManifest checks the bytes of a manifest as `ergo check` does, up to what
// needs its policies: errors are manifest.Problems.
func ParseManifest(path string, data []byte) (*manifest.Manifest, error) {
	return manifest.Parse(path, data, manifest.WithCapabilities(grants()...))
}

// Load makes a policy, and what spec.Settings grants it; spec.Granted is not heeded.
// Whoever closes the policy calls release after that.
func (w *Workbench) Load(ctx context.Context, spec policy.Spec) (p policy.Policy, release func() error, err error) {
	spec.Granted = w.parts.grant(spec)
	if p, err = w.loaders[spec.Artifact.File.ABI].Load(ctx, spec); err != nil {
		return nil, nil, errors.Join(err, spec.Granted.Close())
	}
	return p, spec.Granted.Close, nil
}

// Close ends the workbench, once all policies are closed.
func (w *Workbench) Close(ctx context.Context) error { return w.parts.close(ctx) }
