// Package proxywasm runs guests of the proxy-wasm ABI, versions 0.1.0, 0.2.0 and
// 0.2.1, as Envoy, Istio, Kong and Higress run them.
//
// A guest has one root context, which is configured once, and a context for each
// exchange, a stream. Many streams live side by side in one instance, here a vm;
// a vm is entered by one callback at a time, and a callback never waits: a stream
// that pauses leaves the vm to others, and the exchange waits outside of it until
// it is resumed, answered, or at its end. There are as many vms as callbacks run
// at once, within the policy's bound.
//
// vm.go is an instance with its root context, fleet.go the instances of a policy,
// stream.go one exchange in a guest's eyes, pass.go the way of a stream through
// the phases, body.go the way of its bodies. host*.go are the functions that
// guests import.
//
// What guests in the field expect is what Envoy and proxy-wasm-cpp-host do, where
// that differs from the specification's text.
package proxywasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Loader makes policies of proxy-wasm modules. It is safe for concurrent use.
type Loader struct{ engine *wasm.Engine }

var _ policy.Loader = (*Loader)(nil)

// NewLoader makes a loader whose policies run on an engine, which must outlive
// them.
func NewLoader(engine *wasm.Engine) *Loader { return &Loader{engine} }

// Load follows policy.Loader. The proof that the policy can take an exchange is
// that one instance starts and takes its configuration; it serves the first
// exchanges. A module without a stream's callbacks, or that its settings call a
// service, has no phases: exchanges pass it by.
func (l *Loader) Load(ctx context.Context, spec policy.Spec) (policy.Policy, error) {
	program, err := l.engine.Compile(ctx, wasm.Source{
		Digest: spec.Artifact.Digest,
		Module: spec.Artifact.Module,
		ABI:    Host(),
	})
	if err != nil {
		return nil, &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: err}
	}
	shapes, problems := shapesOf(program)
	problems = append(problems,
		program.CheckImports(permission(&spec)),
		program.CheckExports(nil, int64(spec.Settings.Limits.Memory)),
		checkNeeds(&spec))
	if err := errors.Join(problems...); err != nil {
		return nil, refuse(ctx, program, &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: err})
	}
	f := newFleet(l.engine, program, shapes, &spec)
	if err := f.open(ctx); err != nil {
		f.events.close() // a queue may have been registered before it failed
		return nil, refuse(ctx, program, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: f.startError(err)})
	}
	if f.settings.Service || !shapes.streams() {
		return newService(f), nil
	}
	return &Policy{f}, nil
}

func refuse(ctx context.Context, program *wasm.Program, cause *policy.Error) error {
	if err := program.Close(ctx); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

func permission(spec *policy.Spec) wasm.Permission {
	return wasm.Permission{
		Policy:     spec.Name,
		Declared:   spec.Artifact.File.Capabilities,
		Granted:    spec.Settings.Grants,
		Undeclared: spec.Artifact.File.Family == "", // a policy.toml names one
	}
}

// settingsOf returns how the module is run: what the manifest says, or else its
// policy.toml, or else the defaults.
func settingsOf(spec *policy.Spec) manifest.ProxyWasm {
	switch {
	case spec.Settings.ProxyWasm != nil:
		return *spec.Settings.ProxyWasm
	case spec.Artifact.File.ProxyWasm != nil:
		return *spec.Artifact.File.ProxyWasm
	}
	return manifest.ProxyWasm{}
}

// checkNeeds refuses what policy.toml says and this ABI can't follow.
func checkNeeds(spec *policy.Spec) error {
	needs := &spec.Artifact.File.Needs
	var problems []error
	if needs.Stateless {
		problems = append(problems, errors.New("policy.toml says needs.stateless: a stream of proxy-wasm keeps its context, remove the line"))
	}
	for _, body := range []struct {
		name  string
		need  manifest.BodyNeed
		limit manifest.Size
	}{
		{"request_body", needs.RequestBody, spec.Settings.Limits.RequestBody},
		{"response_body", needs.ResponseBody, spec.Settings.Limits.ResponseBody},
	} {
		switch {
		case body.need.Mode == manifest.BodyPeek:
			problems = append(problems, fmt.Errorf("policy.toml says needs.%s = peek: bodies of proxy-wasm are shown whole, write \"stream\", \"buffer(SIZE)\" or \"none\"", body.name))
		case body.need.Max > body.limit:
			problems = append(problems, fmt.Errorf("policy.toml asks to hold %d bytes as %s, but limits.%s is %d", body.need.Max, body.name, body.name, body.limit))
		}
	}
	return errors.Join(problems...)
}
