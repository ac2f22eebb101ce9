package engine

import (
	"errors"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// failed handles a policy that could not be made. By default the manifest is
// refused; where the failure rule says otherwise, the rule stands in for the
// policy.
func (b *build) failed(r *row, kind policy.Kind, err error) {
	rule := r.rules.Load
	if kind == policy.Config {
		rule = r.rules.Config
	}
	if !excused(rule) {
		b.refuse(r, err)
		return
	}
	b.e.opts.Log.Warn("policy left out by its failure rule", "policy", r.config.Policy, "kind", kind.String(), "rule", rule.Kind, "err", err)
	r.slot = &slot{Slot: &tier.Slot{
		Name: r.config.Policy, Family: b.family(r.config.Policy), Failed: kind, Err: err, Log: b.e.opts.Log,
	}}
}

// excused reports whether a rule lets a generation run without the policy.
func excused(rule manifest.Action) bool { return rule.Kind == "skip" || rule.Kind == "respond" }

// kindOf returns whose failure rule a policy falls under that was not made:
// there are two.
func kindOf(err error) policy.Kind {
	var failure *policy.Error
	if errors.As(err, &failure) && failure.Kind == policy.Config {
		return policy.Config
	}
	return policy.Load
}

// refuse notes why a policy could not be made, at the place that is to be
// mended: in its policy.toml, at its source, in its configuration, or at its use.
func (b *build) refuse(r *row, err error) {
	var inPolicyFile manifest.Problems
	if errors.As(err, &inPolicyFile) {
		b.report(inPolicyFile...)
		return
	}
	if b.unloaded[r.config.Policy] != nil {
		b.refuseSource("policy."+r.config.Policy, err)
		return
	}
	use := manifest.UsePath(r.tier, r.stage, r.use)
	text, _, _ := strings.Cut(err.Error(), "\n") // a trap's stack follows
	var failure *policy.Error
	if errors.As(err, &failure) && failure.Kind == policy.Config {
		// A guest names the place as the SDKs do: "config.rules[0].path: what is wrong".
		said, _, _ := strings.Cut(failure.Err.Error(), "\n")
		place, wrong, found := strings.Cut(said, ": ")
		if path := use + "." + place; found && strings.HasPrefix(place, "config") && b.m.Source().Has(path) {
			b.problem(path, wrong, "")
			return
		}
	}
	b.problem(use+".policy", text, "")
}

// refuseSource notes why a policy's artifact could not be read.
func (b *build) refuseSource(path string, err error) {
	if errors.Is(err, errDigest) {
		b.problem(path+".digest", err.Error(), "pin the one that is meant, or bring back the module that is")
		return
	}
	b.problem(path+".source", err.Error(), "name a folder with a policy.toml, or a .wasm file")
}
