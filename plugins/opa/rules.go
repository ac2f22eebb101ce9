package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// rules are what decides: compiled modules with their data. They are immutable, and safe
// for concurrent use.
type rules struct {
	revision string // of the bundle
	compiler *ast.Compiler
	store    storage.Store
	query    ast.Body
}

// errUndefined says that the rules have no decision.
var errUndefined = errors.New("the decision is undefined")

// withheld are the built-ins that reach what the policy was not granted: the network, the
// host's environment, and files, which a JSON Schema may refer to.
func withheld() []string {
	return []string{"http.send", "net.lookup_ip_addr", "opa.runtime", "json.match_schema", "json.verify_schema"}
}

// capabilities are what rules may use.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return slices.Contains(withheld(), b.Name) })
	c.AllowNet = []string{}
	return c
}

// inline makes rules of one module.
func inline(module string, data map[string]any, decision ast.Ref) (*rules, error) {
	c := capabilities()
	parsed, err := ast.ParseModuleWithOpts("policy.rego", module, ast.ParserOptions{Capabilities: c, RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, err
	}
	if parsed == nil {
		return nil, errors.New("policy.rego: it is empty")
	}
	return compile(c, map[string]*ast.Module{"policy.rego": parsed}, data, decision)
}

// unbundle makes rules of a bundle: a tar archive, compressed with gzip.
func unbundle(packed []byte, b *bundleConfig, decision ast.Ref) (*rules, error) {
	if err := fits(packed, b.MaxBytes); err != nil {
		return nil, err
	}
	c := capabilities()
	reader := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(packed), "")).
		WithCapabilities(c).WithSizeLimitBytes(b.MaxBytes).WithRegoVersion(ast.RegoV1)
	if v := b.verification(); v != nil {
		reader = reader.WithBundleVerificationConfig(v)
	} else {
		reader = reader.WithSkipBundleVerification(true)
	}
	read, err := reader.Read()
	if err != nil {
		return nil, err
	}
	if read.Type() != bundle.SnapshotBundleType {
		return nil, errors.New("it is a delta bundle, and what it changes is not known")
	}
	modules := make(map[string]*ast.Module, len(read.Modules))
	for _, m := range read.Modules {
		modules[m.Path] = m.Parsed
	}
	r, err := compile(c, modules, read.Data, decision)
	if err != nil {
		return nil, err
	}
	r.revision = read.Manifest.Revision
	return r, nil
}

// fits refuses an archive that unpacks to more than max bytes.
func fits(packed []byte, max int64) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(unzipped, max+1))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if n > max {
		return fmt.Errorf("unpack: it has more than max_bytes (%d)", max)
	}
	return nil
}

func compile(c *ast.Capabilities, modules map[string]*ast.Module, data map[string]any, decision ast.Ref) (*rules, error) {
	if data == nil {
		data = map[string]any{}
	}
	ctx := context.Background()
	store := inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	compiler := ast.NewCompiler().WithCapabilities(c).WithDefaultRegoVersion(ast.RegoV1).
		WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	if len(compiler.GetRules(decision)) == 0 && len(compiler.GetRulesWithPrefix(decision)) == 0 {
		return nil, fmt.Errorf("no rule makes %s, which is config.decision", decision)
	}
	query, err := compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.VarTerm("decision"), ast.NewTerm(decision))))
	if err != nil {
		return nil, err
	}
	return &rules{compiler: compiler, store: store, query: query}, nil
}

// decide evaluates the decision on a request until ctx ends.
func (r *rules) decide(ctx context.Context, input *ast.Term) (ast.Value, error) {
	txn, err := r.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer r.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	stop := context.AfterFunc(ctx, cancel.Cancel)
	defer stop()
	var decision ast.Value
	err = topdown.NewQuery(r.query).WithCompiler(r.compiler).WithStore(r.store).WithTransaction(txn).
		WithInput(input).WithCancel(cancel).WithMetrics(metrics.NoOp()).
		Iter(ctx, func(result topdown.QueryResult) error {
			decision = result[ast.Var("decision")].Value
			return nil
		})
	switch {
	case topdown.IsCancel(err):
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case decision == nil:
		return nil, errUndefined
	}
	return decision, nil
}
