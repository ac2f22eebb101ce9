// Package process runs policies as processes of their own, by hashicorp/go-plugin: native code, heavy
// engines, languages without a WebAssembly target.
//
// Each use of a policy has processes of its own, as many as the manifest says. One stream for each carries
// many exchanges side by side (package sdk/plugin has the contract). What a process does wrong, be it to crash,
// to hang or to break the protocol, is the failure of that policy alone: exchanges that were with it are
// judged by its failure rule, and another process takes its place.
package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
)

// Loader makes policies of plugins.
type Loader struct{}

var _ policy.Loader = Loader{}

// Load follows policy.Loader. The proof that the policy can take an exchange is that
// all its processes start, take the configuration and answer a probe.
func (Loader) Load(ctx context.Context, spec policy.Spec) (policy.Policy, error) {
	refused := func(err error) error { return &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: err} }
	if err := admit(&spec); err != nil {
		return nil, refused(err)
	}
	p := newPolicy(&spec)
	start := &launch{
		name: spec.Name, config: spec.Config, log: spec.Log, call: p.call,
		program: child.Program{
			Name: spec.Artifact.File.Module, Code: spec.Artifact.Module, Digest: spec.Artifact.Digest,
			Limits: spec.Settings.Process, Lines: p.lines,
		},
	}
	var first []*process
	for range spec.Settings.Process.Count {
		q, contract, err := start.start(ctx)
		if err == nil && p.contract != nil && !equal(contract, p.contract) {
			q.kill()
			err = errContract
		}
		if err != nil {
			for _, q := range first {
				q.end()
			}
			var typed *policy.Error
			if errors.As(err, &typed) {
				return nil, typed
			}
			return nil, refused(err)
		}
		p.contract = contract
		first = append(first, q)
	}
	p.begin(start, first)
	if p.contract.Trailers {
		return trailing{p}, nil
	}
	return p, nil
}

// admit checks what can be checked before anything runs.
func admit(spec *policy.Spec) error {
	var problems []error
	for _, name := range spec.Artifact.File.Capabilities {
		switch {
		case !slices.Contains(Capabilities(), name):
			problems = append(problems, fmt.Errorf("policy.toml asks for %s, %s", name, unknown(name)))
		case !slices.Contains(spec.Settings.Grants, name):
			problems = append(problems, fmt.Errorf("policy.toml asks for %s, which is not granted: add grants = [%q] to [policy.%s]",
				name, name, spec.Name))
		}
	}
	if spec.Settings.Isolation == "exchange" {
		problems = append(problems, errors.New(`isolation = "exchange" is for Wasm: a process carries many exchanges`))
	}
	needs, limits := &spec.Artifact.File.Needs, &spec.Settings.Limits
	problems = append(problems,
		fits("request_body", needs.RequestBody, limits.RequestBody), fits("response_body", needs.ResponseBody, limits.ResponseBody))
	return errors.Join(problems...)
}

func fits(name string, need manifest.BodyNeed, limit manifest.Size) error {
	if held := need.Mode == manifest.BodyPeek || need.Mode == manifest.BodyBuffer; held && need.Max > limit {
		return fmt.Errorf("policy.toml asks to hold %d bytes as %s, but limits.%s is %d", need.Max, name, name, limit)
	}
	return nil
}

// newPolicy makes a policy that has no processes yet.
func newPolicy(spec *policy.Spec) *Policy {
	limits, needs := spec.Settings.Limits, spec.Artifact.File.Needs
	p := &Policy{
		name: spec.Name, limits: limits, granted: spec.Granted, grants: map[string]bool{},
		needs:   policy.Needs{RequestBody: orNone(needs.RequestBody), ResponseBody: orNone(needs.ResponseBody)},
		maxStep: int(max(limits.RequestBody, limits.ResponseBody)),
		lines:   child.NewLines(spec.Log, limits.LogLines),
		places:  make(chan struct{}, limits.Instances), up: make(chan struct{}),
	}
	for _, name := range spec.Artifact.File.Capabilities {
		p.grants[name] = true
	}
	if spec.Artifact.File.Family == "" { // a bare program says nothing of itself
		for _, name := range spec.Settings.Grants {
			p.grants[name] = true
		}
	}
	p.visits.New = func() any {
		return &visit{policy: p, ready: make(chan struct{}, 1), requestBound: unbound, responseBound: unbound}
	}
	return p
}

func orNone(n manifest.BodyNeed) manifest.BodyNeed {
	if n.Mode == manifest.BodyUnset {
		n.Mode = manifest.BodyNone
	}
	return n
}

// begin has the policy's processes carry exchanges.
func (p *Policy) begin(start *launch, first []*process) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, q := range first {
		w := &worker{policy: p, launch: start}
		w.current.Store(q)
		p.workers = append(p.workers, w)
		p.created.Add(1)
		p.running.Go(func() { w.keep(ctx, q) })
	}
}
