package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
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
	fed       map[string]*keyring.Key     // those with a source, by name; the generation's
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

// build makes a generation from a manifest. It returns manifest.Problems if
// anything in it is wrong, and ctx's cause if ctx ended before it was done.
func (e *Engine) build(ctx context.Context, from Source, origin sources) (*build, error) {
	m, err := manifest.Parse(from.Path, from.Data, manifest.WithCapabilities(e.opts.Grants...))
	if err != nil {
		return nil, err
	}
	b := &build{
		e: e, m: m, text: from.Data, sources: origin, g: newGeneration(), listeners: noListeners{},
		artifacts: map[string]*policy.Artifact{}, unloaded: map[string]error{}, fed: map[string]*keyring.Key{},
	}
	for _, w := range m.Warnings() {
		b.warnings = append(b.warnings, w.String())
	}
	b.g.manifest, b.g.log, b.g.text, b.g.artifacts = m, e.opts.Log, from.Data, b.artifacts
	b.loadArtifacts()
	b.feedKeys(ctx)
	b.loadPolicies(ctx)
	if ctx.Err() != nil {
		// What did not load for that is no problem of the manifest's, and no case
		// for a failure rule.
		b.abandon()
		return nil, fmt.Errorf("build generation: %w", context.Cause(ctx))
	}
	b.join()
	if len(b.problems) > 0 {
		b.abandon()
		b.problems.Sort()
		return nil, b.problems
	}
	return b, nil
}

// abandon lets go of everything that was built.
func (b *build) abandon() {
	b.listeners.Abort()
	b.e.closeGeneration(b.g)
}

// problem notes what is wrong at a path of the manifest.
func (b *build) problem(path, wrong, right string) {
	b.report(b.m.Source().Problem(path, wrong, right))
}

// warn notes what is allowed but hardly meant, once.
func (b *build) warn(path, wrong, right string) {
	warning := b.m.Source().Problem(path, wrong, right).String()
	if !slices.Contains(b.warnings, warning) {
		b.warnings = append(b.warnings, warning)
	}
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

func (b *build) stage(r *row) *manifest.Stage {
	if r.tier == "edge" {
		return &b.m.Edge.Stages[r.stage]
	}
	return &b.m.Service.Stages[r.stage]
}

// digest names the generation by what it was made from.
func (b *build) digest() string {
	h := sha256.New()
	h.Write(b.text)
	for _, s := range b.g.slots {
		fmt.Fprintln(h, s.key)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
