package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// build is a generation in the making. What goes wrong is gathered, so that all
// of it is reported at once; nothing that runs is touched until activate.
type build struct {
	e         *Engine
	m         *manifest.Manifest
	text      []byte // the manifest as it was written
	sources   sources
	artifacts map[string]*policy.Artifact // by policy name; missing: could not be loaded
	unloaded  map[string]error            // why, by policy name
	rows      []*row
	g         *generation
	listeners ListenerChange
	warnings  []string

	mu           sync.Mutex
	problems     manifest.Problems
	loaded, kept int
}

// row is a use of a policy on its way to a slot.
type row struct {
	tier       string
	stage, use int
	config     *manifest.Use
	rules      manifest.OnError
	slot       *slot
}

// sources tells where artifacts come from: by digest from the store for those
// named, else from where the manifest says.
type sources struct {
	digests map[string]string // by policy name
	store   *policy.Store
}

// build makes a generation from a manifest. It returns manifest.Problems if
// anything in it is wrong.
func (e *Engine) build(ctx context.Context, from Source, origin sources) (*build, error) {
	m, err := manifest.Parse(from.Path, from.Data, manifest.WithCapabilities(e.opts.Grants...))
	if err != nil {
		return nil, err
	}
	b := &build{
		e: e, m: m, text: from.Data, sources: origin, g: newGeneration(), listeners: noListeners{},
		artifacts: map[string]*policy.Artifact{}, unloaded: map[string]error{},
	}
	for _, w := range m.Warnings() {
		b.warnings = append(b.warnings, w.String())
	}
	b.g.manifest = m
	b.loadArtifacts()
	b.loadPolicies(ctx)
	b.join()
	if len(b.problems) > 0 {
		b.abandon(ctx)
		b.problems.Sort()
		return nil, b.problems
	}
	return b, nil
}

// abandon lets go of everything that was built.
func (b *build) abandon(ctx context.Context) {
	b.listeners.Abort()
	b.g.close(ctx, &b.e.slots)
}

// problem notes what is wrong at a path of the manifest.
func (b *build) problem(path, wrong, right string) {
	b.report(b.m.Source().Problem(path, wrong, right))
}

// report notes problems; what several uses have in common is noted once.
func (b *build) report(problems ...manifest.Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range problems {
		if !slices.Contains(b.problems, p) {
			b.problems = append(b.problems, p)
		}
	}
}

// runs returns the tiers that this process runs, in the order of the request.
func (b *build) runs() []*manifest.Tier {
	switch b.e.opts.Mode {
	case Edge:
		return []*manifest.Tier{&b.m.Edge}
	case Service:
		return []*manifest.Tier{&b.m.Service}
	}
	return []*manifest.Tier{&b.m.Edge, &b.m.Service}
}

// name returns a tier's name by its place in the manifest.
func (b *build) name(t *manifest.Tier) string {
	if t == &b.m.Edge {
		return "edge"
	}
	return "service"
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
		r.rules = tier.Rules(b.stage(r).OnError, r.config.OnError, b.family(r.config.Policy))
	}
}

// family returns a policy's family. One that could not be read may have been
// authentication, so it is taken for that: a stage's "skip" must not open it.
func (b *build) family(policy string) string {
	if a := b.artifacts[policy]; a != nil {
		return a.File.Family
	}
	return "auth"
}

func (b *build) stage(r *row) *manifest.Stage {
	if r.tier == "edge" {
		return &b.m.Edge.Stages[r.stage]
	}
	return &b.m.Service.Stages[r.stage]
}

func (b *build) loadArtifact(name string) {
	if b.artifacts[name] != nil || b.unloaded[name] != nil {
		return
	}
	a, err := b.sources.load(name, b.m.Policies[name])
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

func (s sources) load(name string, p manifest.Policy) (*policy.Artifact, error) {
	var a *policy.Artifact
	var err error
	if digest, ok := s.digests[name]; ok {
		a, err = s.store.Get(digest)
	} else {
		a, err = policy.LoadArtifact(p.Source)
	}
	if err != nil {
		return nil, err
	}
	if p.Digest != "" && p.Digest != a.Digest {
		return nil, fmt.Errorf("the module's digest is %s, not %s", a.Digest, p.Digest)
	}
	return a, nil
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
	p := b.m.Policies[name]
	spec := policy.Spec{
		Name: name, Artifact: artifact, Config: r.config.ResolvedConfig(), Grants: p.Grants, Limits: p.Limits,
		Log: b.e.opts.Log.With("policy", name, "version", artifact.File.Version),
	}
	key := slotKey(spec)
	if r.slot = b.e.slots.take(key); r.slot != nil {
		b.count(&b.kept)
		return
	}
	made, err := b.e.opts.Loaders[artifact.File.ABI].Load(ctx, spec)
	if err != nil {
		b.failed(r, kindOf(err), err)
		return
	}
	b.keep(ctx, r, key, made, spec)
}

// keep makes a slot of a loaded policy. Two uses with one key that were loaded
// at the same time share the first one's.
func (b *build) keep(ctx context.Context, r *row, key string, made policy.Policy, spec policy.Spec) {
	fresh := &tier.Slot{
		Name: spec.Name, Version: spec.Artifact.File.Version, Family: spec.Artifact.File.Family,
		Policy: made, Log: spec.Log,
	}
	var surplus bool
	if r.slot, surplus = b.e.slots.put(key, fresh); surplus {
		if err := fresh.Close(ctx); err != nil {
			spec.Log.Warn("close a policy loaded twice", "err", err)
		}
		return
	}
	b.count(&b.loaded)
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
	}, refs: 1}
}

// excused reports whether a rule lets a generation run without the policy.
func excused(rule manifest.Action) bool { return rule.Kind == "skip" || rule.Kind == "respond" }

func kindOf(err error) policy.Kind {
	var failure *policy.Error
	if errors.As(err, &failure) {
		return failure.Kind
	}
	return policy.Load
}

// join puts the loaded parts together to a generation.
func (b *build) join() {
	var err error
	if b.g.upstreams, err = b.e.opts.Upstreams.Build(b.m.Upstreams); err != nil {
		b.problem("upstream", err.Error(), "")
	}
	if len(b.problems) == 0 {
		b.joinTiers()
	}
	b.prepareListeners()
	b.g.forwarding = exchange.Forwarding{
		Trusted: b.m.Host.TrustedProxies, Mode: b.m.Host.Forwarded, Via: b.m.Host.Via, RequestID: b.m.Host.RequestID,
	}
	b.g.next = toUpstream
	b.g.linked = b.e.opts.Mode == Service
	if b.e.opts.Mode == Edge {
		b.g.next = toService
	}
	b.g.digest = b.digest()
	b.g.parts = b.partList()
}

func (b *build) joinTiers() {
	before := b.e.current.Load()
	for _, t := range b.runs() {
		spec := tier.Spec{Name: b.name(t), Config: *t, Log: b.e.opts.Log}
		if b.e.opts.Telemetry != nil {
			spec.Metrics = b.e.opts.Telemetry.Metrics
		}
		spec.Bulkhead, spec.Breaker = before.lasting(spec.Name, *t)
		for i := range t.Stages {
			spec.Stages = append(spec.Stages, tier.StageSpec{Stage: t.Stages[i], Uses: b.uses(spec.Name, i)})
		}
		made, err := tier.New(spec)
		if err != nil {
			b.problem(spec.Name, err.Error(), "")
			continue
		}
		b.g.tiers = append(b.g.tiers, made)
	}
}

// lasting returns the bulkhead and breaker of the tier of that name, if they fit
// its new settings.
func (g *generation) lasting(name string, settings manifest.Tier) (bulkhead *tier.Bulkhead, breaker *tier.Breaker) {
	if g == nil {
		return nil, nil
	}
	for _, t := range g.tiers {
		if t.Name() != name {
			continue
		}
		if t.Bulkhead().Fits(settings) {
			bulkhead = t.Bulkhead()
		}
		if t.Breaker().Fits(settings.Breaker) {
			breaker = t.Breaker()
		}
	}
	return bulkhead, breaker
}

func (b *build) uses(tierName string, stage int) []tier.UseSpec {
	var specs []tier.UseSpec
	for _, r := range b.rows {
		if r.tier == tierName && r.stage == stage {
			specs = append(specs, tier.UseSpec{Slot: r.slot.Slot, OnError: r.config.OnError})
		}
	}
	return specs
}

// ListenerError is what a Listeners says of one listener.
type ListenerError struct {
	Index int // in the manifest's list as it was given to Prepare
	Err   error
}

func (e *ListenerError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ListenerError) Unwrap() error { return e.Err }

// ListenerErrors are all that is wrong with listeners.
type ListenerErrors []*ListenerError

func (e ListenerErrors) Error() string {
	errs := make([]error, len(e))
	for i := range e {
		errs[i] = e[i]
	}
	return errors.Join(errs...).Error()
}

// prepareListeners binds and loads the listeners of the tiers that run here:
// clients come in at the edge, edge hosts at the link listeners.
func (b *build) prepareListeners() {
	if b.e.opts.Listeners == nil {
		return
	}
	link := b.e.opts.Mode == Service
	var wanted []manifest.Listener
	var places []int
	for i, l := range b.m.Listeners {
		if l.Link == link {
			wanted, places = append(wanted, l), append(places, i)
		}
	}
	change, err := b.e.opts.Listeners.Prepare(wanted)
	var each ListenerErrors
	switch {
	case errors.As(err, &each):
		for _, l := range each {
			b.problem(fmt.Sprintf("listener[%d]", places[l.Index]), l.Error(), "")
		}
	case err != nil:
		b.problem("listener", err.Error(), "")
	default:
		b.listeners = change
	}
}

// noListeners stands for listeners that do not change.
type noListeners struct{}

func (noListeners) Commit() {}
func (noListeners) Abort()  {}

// digest names the generation by everything it was made from.
func (b *build) digest() string {
	h := sha256.New()
	h.Write(b.text)
	for _, s := range b.g.slots {
		fmt.Fprintln(h, s.key)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
