package cli

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
)

// control is an engine with what a swap means for the process around it. A
// source without a path means the manifest that the host was started with. It is
// safe for concurrent use.
type control struct {
	*engine.Engine
	path    string // of the manifest that the host was started with
	log     *slog.Logger
	swapped func(*manifest.Manifest)
	look    func() // has the watcher look anew; nil without one

	mu       sync.Mutex
	wanted   string   // the manifest of the last attempt, refused or not
	policies []string // where its policies come from
}

var _ admin.Host = (*control)(nil)

// Swap follows engine.Engine.
func (c *control) Swap(ctx context.Context, cause string, from engine.Source) (*engine.Change, error) {
	from = c.complete(from)
	c.attempt(from)
	c.lookAnew() // before the files are read
	change, err := c.Engine.Swap(ctx, cause, from)
	if err != nil {
		return nil, err
	}
	c.swapped(c.Manifest())
	for _, warning := range change.Warnings {
		c.log.Warn("manifest", "warning", warning)
	}
	return change, nil
}

// Rollback follows engine.Engine.
func (c *control) Rollback(ctx context.Context, steps int) (*engine.Change, error) {
	change, err := c.Engine.Rollback(ctx, steps)
	if err == nil {
		c.swapped(c.Manifest())
		c.lookAnew()
	}
	return change, err
}

// Check follows engine.Engine.
func (c *control) Check(ctx context.Context, from engine.Source) (*engine.Change, error) {
	return c.Engine.Check(ctx, c.complete(from))
}

func (c *control) complete(from engine.Source) engine.Source {
	if from.Path == "" {
		from.Path = c.path
	}
	return from
}

// attempt notes what is wanted, so that mending a policy is noticed even if the
// manifest was refused for it.
func (c *control) attempt(from engine.Source) {
	m, err := load(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = from.Path
	if err == nil {
		c.policies = sources(m)
		m.Close()
	}
}

// sourceFor returns what to swap to when files have changed: the host's manifest
// if it is one of them, else the one that was asked for last, which may be
// another.
func (c *control) sourceFor(changed []string) engine.Source {
	if slices.Contains(changed, c.path) {
		return engine.Source{Path: c.path}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return engine.Source{Path: c.wanted}
}

func (c *control) lookAnew() {
	if c.look != nil {
		c.look()
	}
}

// watched returns what the host is, was to be, or could be built from: manifests
// and the sources of their policies.
func (c *control) watched() []string {
	c.mu.Lock()
	paths := append([]string{c.path, c.wanted}, c.policies...)
	c.mu.Unlock()
	if m := c.Manifest(); m != nil {
		paths = append(paths, sources(m)...)
	}
	return paths
}

// load reads a manifest as the engine will.
func load(from engine.Source) (*manifest.Manifest, error) {
	if from.Data != nil {
		return ParseManifest(from.Path, from.Data)
	}
	return manifest.Load(from.Path, manifest.WithCapabilities(grants()...))
}

// sources returns the files and folders that policies come from.
func sources(m *manifest.Manifest) []string {
	var paths []string
	for _, p := range m.Policies {
		if path := strings.TrimPrefix(p.Source, manifest.Program); filepath.IsAbs(path) { // else it is no file
			paths = append(paths, path)
		}
	}
	return paths
}
