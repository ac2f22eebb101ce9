package cli

import (
	"slices"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/policy"
)

// grant makes what the manifest's grants to a policy come to.
func (p *parts) grant(spec policy.Spec) *policy.Granted {
	granted := &policy.Granted{
		Policy:  spec.Name,
		Metrics: p.metrics.Guest(spec.Name, spec.Artifact.File.Version),
		Secrets: spec.Settings.Secrets,
		Shared:  p.state.Shared(spec.Name),
		Keys:    keyring.NewGrant(spec.Keys, p.gate),
	}
	if calls := spec.Settings.HTTP; calls != nil {
		granted.HTTP = p.outbound(spec.Name, calls)
	}
	granted.KV = p.memory(spec.Name, spec.Settings)
	if slices.Contains(spec.Settings.Grants, "ergo_cache") {
		granted.Cache = p.caches.of(spec.Name)
	}
	return granted
}
