// Package httpwasm runs guests of the http-wasm ABI ("http_handler"), which
// Traefik's and Dapr's Wasm middleware speak too.
//
// A guest has two functions: handle_request, called when the head of a request
// is there, and handle_response, called when the head of its response is there.
// What it does in between is up to it: it reads the request's body as a stream
// or, with feature buffer_request, from memory while the upstream gets all of
// it; with buffer_response it finds the response's body in memory. Without that
// feature it may change the fields of a response, but neither its status nor
// its body.
//
// Where it differs from the ABI's reference host: a buffered request body
// reaches the upstream whole; a guest that trapped, exited or ran out of time
// is never used again; Host is the request's authority; trailers are fields of
// their own; the status of a response can be read without buffering it.
package httpwasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Loader makes policies of http-wasm modules. It is safe for concurrent use.
type Loader struct{ engine *wasm.Engine }

var _ policy.Loader = (*Loader)(nil)

// NewLoader makes a loader whose policies run on an engine, which must outlive
// them.
func NewLoader(engine *wasm.Engine) *Loader { return &Loader{engine} }

// Load follows policy.Loader. The proof that the policy can take an exchange is
// that one instance links, starts with its configuration, and stays alive; it
// becomes the first of the pool.
func (l *Loader) Load(ctx context.Context, spec policy.Spec) (policy.Policy, error) {
	program, err := l.engine.Compile(ctx, wasm.Source{
		Digest: spec.Artifact.Digest,
		Module: spec.Artifact.Module,
		ABI:    Host(),
	})
	if err != nil {
		return nil, &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: err}
	}
	bodies, err := bodyRules(program, &spec)
	err = errors.Join(
		program.CheckImports(permission(&spec)),
		program.CheckExports(exports, int64(spec.Settings.Limits.Memory)),
		err)
	if err != nil {
		return nil, l.refuse(ctx, program, &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: err})
	}
	if spec.Config, err = policy.GuestConfig(spec.Config); err != nil {
		return nil, l.refuse(ctx, program, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: err})
	}
	p := newPolicy(l.engine, program, &spec, bodies)
	if err := p.begin(ctx); err != nil {
		_ = p.pool.Close(ctx) // it is empty
		return nil, l.refuse(ctx, program, &policy.Error{Kind: policy.Config, Policy: spec.Name, Err: startError(err, p.log.Reason())})
	}
	return p, nil
}

// startError prefers what the guest said of its end to how it ended.
func startError(err error, reason string) error {
	if reason == "" {
		return fmt.Errorf("start: %w", err)
	}
	return &refusal{reason, err}
}

// refusal is a guest's own word on why it does not start.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.reason }
func (r *refusal) Unwrap() error { return r.err }

func (l *Loader) refuse(ctx context.Context, program *wasm.Program, cause *policy.Error) error {
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

// bodyRule says what a guest may do with the body of one direction.
type bodyRule struct {
	mode manifest.BodyMode // none, peek, buffer or stream
	max  int64             // bytes that are held for it
}

type rules struct{ request, response bodyRule }

// bodyRules joins what policy.toml says, what the module imports and what the
// manifest allows.
func bodyRules(program *wasm.Program, spec *policy.Spec) (rules, error) {
	needs := &spec.Artifact.File.Needs
	touches := program.HasImport(moduleName, "read_body") || program.HasImport(moduleName, "write_body")
	request, badRequest := ruleOf("request_body", needs.RequestBody, touches, spec.Settings.Limits.RequestBody)
	response, badResponse := ruleOf("response_body", needs.ResponseBody, touches, spec.Settings.Limits.ResponseBody)
	return rules{request, response}, errors.Join(badRequest, badResponse)
}

func ruleOf(name string, need manifest.BodyNeed, touches bool, limit manifest.Size) (bodyRule, error) {
	rule := bodyRule{mode: need.Mode, max: int64(limit)}
	switch need.Mode {
	case manifest.BodyUnset:
		rule.mode = manifest.BodyNone
		if touches {
			rule.mode = manifest.BodyStream
		}
	case manifest.BodyPeek, manifest.BodyBuffer:
		rule.max = int64(need.Max)
		if need.Max > limit {
			return rule, fmt.Errorf("policy.toml asks to hold %d bytes as %s, but limits.%s is %d", need.Max, name, name, limit)
		}
	}
	return rule, nil
}
