package engine

import (
	"errors"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// refuse notes why a policy could not be made, at the place that is to be
// mended: in its policy.toml, at its source, in its configuration, or at its use.
func (b *build) refuse(r *row, err error) {
	var inPolicyFile manifest.Problems
	if errors.As(err, &inPolicyFile) {
		b.report(inPolicyFile...)
		return
	}
	if b.unloaded[r.config.Policy] != nil {
		b.problem("policy."+r.config.Policy+".source", err.Error(), "name a folder with a policy.toml, or a .wasm file")
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
