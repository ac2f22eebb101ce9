package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ergoproxy/ergo/host/engine/disk"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// sources tells where artifacts come from: by digest from the store for those
// named, else from where the manifest says.
type sources struct {
	digests map[string]string // by policy name
	store   *policy.Store

	artifacts map[string]*policy.Artifact // by policy name; nil: they are read
}

// loadArtifacts reads the artifact of every policy that is used, once, and
// notes the uses.
func (b *build) loadArtifacts() {
	for _, t := range b.runs() {
		for i := range t.Stages {
			for j := range t.Stages[i].Uses {
				use := &t.Stages[i].Uses[j]
				b.rows = append(b.rows, &row{tier: b.name(t), stage: i, use: j, config: use})
				b.loadArtifact(use.Policy)
			}
		}
	}
	for _, r := range b.rows {
		b.findRules(r)
	}
}

// findRules notes a use's failure rules, and warns where a stage's are written
// and do not hold.
func (b *build) findRules(r *row) {
	stage := b.stage(r)
	r.rules = tier.Rules(stage.OnError, r.config.OnError, b.family(r.config.Policy))
	if r.config.OnError == nil && stage.OnError != nil && r.rules == (manifest.OnError{}) && excusesAny(*stage.OnError) {
		b.warn(manifest.StagePath(r.tier, r.stage)+".on_error",
			"does not hold for policy "+r.config.Policy+", which is, or may be, authentication: it is denied",
			"write on_error at its use if that is meant")
	}
}

func excusesAny(rules manifest.OnError) bool {
	return excused(rules.Load) || excused(rules.Config) || excused(rules.Trap) || excused(rules.Timeout) || excused(rules.Overload)
}

// family returns a policy's family. One that could not be read, or comes without
// a policy.toml, may be authentication, so it is taken for that: a stage's "skip"
// must not open it.
func (b *build) family(policy string) string {
	if a := b.artifacts[policy]; a != nil && a.File.Family != "" {
		return a.File.Family
	}
	return "auth"
}

func (b *build) loadArtifact(name string) {
	if b.artifacts[name] != nil || b.unloaded[name] != nil {
		return
	}
	a, err := b.artifact(name, b.m.Policies[name])
	if err == nil && b.e.opts.Loaders[a.File.ABI] == nil {
		err = fmt.Errorf("abi %q is not one of %v", a.File.ABI, b.e.abis())
	}
	if err != nil {
		b.unloaded[name] = err
		return
	}
	b.artifacts[name] = a
}

func (e *Engine) abis() []string {
	names := make([]string, 0, len(e.opts.Loaders))
	for name := range e.opts.Loaders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// errDigest says that a source holds another module than the manifest pins.
var errDigest = errors.New("holds another module than digest says")

// artifact reads a policy's artifact. One that is pinned by its digest may come
// from the store when its source is gone: it can be nothing else.
func (b *build) artifact(name string, p manifest.Policy) (*policy.Artifact, error) {
	if a := b.sources.artifacts[name]; a != nil {
		return a, nil
	}
	if digest, ok := b.sources.digests[name]; ok {
		return b.sources.store.Get(digest)
	}
	a, err := policy.LoadArtifact(p.Source)
	if errors.Is(err, fs.ErrNotExist) && p.Digest != "" {
		if a := disk.Stored(b.e.folder(b.m.Host.Data), p.Digest); a != nil {
			b.warn("policy."+name+".source", "is gone: the pinned module comes from the store", "put it back, so that other hosts can start")
			return a, nil
		}
	}
	if err == nil && p.Digest != "" && p.Digest != a.Digest {
		return nil, fmt.Errorf("%s %w: %s", p.Source, errDigest, a.Digest)
	}
	return a, err
}

// loadPolicies gives every use its slot: carried over if nothing that makes it
// has changed, else loaded, as many at a time as there are processors.
func (b *build) loadPolicies(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, r := range b.rows {
		group.Go(func() error {
			b.loadPolicy(ctx, r)
			return nil
		})
	}
	_ = group.Wait() // problems are gathered, not returned
	for _, r := range b.rows {
		if r.slot != nil {
			b.g.slots = append(b.g.slots, r.slot)
		}
	}
}

func (b *build) loadPolicy(ctx context.Context, r *row) {
	name := r.config.Policy
	artifact := b.artifacts[name]
	if artifact == nil {
		b.failed(r, policy.Load, b.unloaded[name])
		return
	}
	if !b.checkConfig(r, artifact) {
		return
	}
	spec := b.spec(name, artifact, r.config.ResolvedConfig())
	var err error
	if spec.Keys, err = b.keysOf(name); errors.Is(err, errUnfed) {
		return
	} else if err != nil {
		b.failed(r, policy.Load, err)
		return
	}
	if r.slot, err = b.obtain(ctx, spec); err != nil && ctx.Err() == nil { // else it is the attempt that ended, not the policy that failed
		b.failed(r, kindOf(err), err)
	}
}

// spec is what a use of a policy is made of, but for its keys.
func (b *build) spec(name string, a *policy.Artifact, config []byte) policy.Spec {
	return policy.Spec{
		Name: name, Artifact: a, Config: config, Settings: b.m.Policies[name],
		Log: b.e.opts.Log.With("policy", name, "version", a.File.Version),
	}
}

// obtain returns the slot of a policy, with a reference: the one there is, or a new one.
func (b *build) obtain(ctx context.Context, spec policy.Spec) (*slot, error) {
	key := slotKey(spec)
	if there := b.e.slots.take(key); there != nil {
		b.count(&b.kept)
		return there, nil
	}
	spec.Granted = b.e.opts.Grant(spec)
	made, err := load(ctx, b.e.opts.Loaders[spec.Artifact.File.ABI], spec)
	if err == nil {
		return b.keep(key, made, spec), nil
	}
	if closed := spec.Granted.Close(); closed != nil {
		spec.Log.Warn("close what a policy was granted", "err", closed)
	}
	return nil, err
}

// load has a loader make a policy. A module that makes it panic is refused, as
// any other that cannot be loaded.
func load(ctx context.Context, loader policy.Loader, spec policy.Spec) (made policy.Policy, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			spec.Log.Error("panic in loader", "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = &policy.Error{Kind: policy.Load, Policy: spec.Name, Err: fmt.Errorf("panic: %v", cause)}
		}
	}()
	return loader.Load(ctx, spec)
}

// keep makes a slot of a loaded policy. Two uses with one key that were loaded
// at the same time share the first one's.
func (b *build) keep(key string, made policy.Policy, spec policy.Spec) *slot {
	fresh := &slot{key: key, Slot: &tier.Slot{
		Name: spec.Name, Version: spec.Artifact.File.Version, Family: spec.Artifact.File.Family,
		Policy: made, Granted: spec.Granted, Log: spec.Log,
	}}
	kept, surplus := b.e.slots.put(key, fresh)
	if !surplus {
		b.count(&b.loaded)
		return kept
	}
	if err := fresh.Close(context.Background()); err != nil {
		spec.Log.Warn("close a policy loaded twice", "err", err)
	}
	return kept
}

func (b *build) count(n *int) {
	b.mu.Lock()
	*n++
	b.mu.Unlock()
}

// checkConfig checks a use's configuration against the policy's schema.
func (b *build) checkConfig(r *row, a *policy.Artifact) bool {
	path := manifest.UsePath(r.tier, r.stage, r.use)
	violations := a.CheckConfig(r.config.ResolvedConfig())
	if len(violations) == 0 {
		return true
	}
	if excused(r.rules.Config) {
		b.failed(r, policy.Config, errors.New(violations[0].String()))
		return false
	}
	for _, v := range violations {
		b.problem(r.config.ConfigPath(path, v.Path), v.Wrong, v.Right)
	}
	return false
}
