package cli

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
)

// control is an engine with what a swap means for the process around it. A
// source without a path means the manifest that the host runs by: the file it
// was last swapped to. It is safe for concurrent use.
type control struct {
	*engine.Engine
	swapped func(*manifest.Manifest)
	look    func() // has the watcher look anew; nil without one

	mu        sync.Mutex
	path      string
	attempted []string // sources of policies in the manifest of the last attempt
}

var _ admin.Host = (*control)(nil)

// Swap follows engine.Engine.
func (c *control) Swap(ctx context.Context, cause string, from engine.Source) (*engine.Change, error) {
	from = c.complete(from)
	c.attempt(from)
	change, err := c.Engine.Swap(ctx, cause, from)
	if err == nil {
		c.mu.Lock()
		c.path = from.Path
		c.mu.Unlock()
		c.swapped(c.Manifest())
	}
	c.lookAnew()
	return change, err
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
		c.mu.Lock()
		from.Path = c.path
		c.mu.Unlock()
	}
	return from
}

// attempt notes where the policies of a manifest come from, so that mending one
// of them is noticed even if the manifest is refused for it.
func (c *control) attempt(from engine.Source) {
	m, err := load(from)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.attempted = sources(m)
	c.mu.Unlock()
}

func (c *control) lookAnew() {
	if c.look != nil {
		c.look()
	}
}

// watched returns what the host was or should have been built from: the
// manifest and the sources of its policies.
func (c *control) watched() []string {
	c.mu.Lock()
	paths := append([]string{c.path}, c.attempted...)
	c.mu.Unlock()
	if m := c.Manifest(); m != nil {
		paths = append(paths, sources(m)...)
	}
	return paths
}

// load reads a manifest as the engine will.
func load(from engine.Source) (*manifest.Manifest, error) {
	if from.Data != nil {
		return manifest.Parse(from.Path, from.Data, manifest.WithCapabilities(grants()...))
	}
	return manifest.Load(from.Path, manifest.WithCapabilities(grants()...))
}

// sources returns the files and folders that policies come from.
func sources(m *manifest.Manifest) []string {
	var paths []string
	for _, p := range m.Policies {
		if filepath.IsAbs(p.Source) { // else it is no file
			paths = append(paths, p.Source)
		}
	}
	return paths
}
