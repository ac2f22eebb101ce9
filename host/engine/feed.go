package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ergoproxy/ergo/host/engine/feed"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// spring is a key of the manifest with the slot of its source. Generations that use it
// unchanged share it.
type spring struct {
	*feed.Feed
	id   string
	name string // of the key
	slot *slot
}

// springs are those of all generations.
type springs struct{ shared[spring] }

// release drops one reference; with the last one the feed ends, and so may its source.
func (s *springs) release(ctx context.Context, of *spring, all *slots) error {
	if !s.drop(of.id) {
		return nil
	}
	of.Close()
	return all.release(ctx, of.slot)
}

// springID names everything that a key is fed by.
func springID(spec policy.Spec, name string, k manifest.Key) string {
	h := sha256.New()
	s := k.Source
	fmt.Fprintf(h, "%s %q %q %q %q %d %d", slotKey(spec), name, k.Algorithm, k.Encoding, s.Name, s.Refresh, s.Timeout)
	return hex.EncodeToString(h.Sum(nil))
}

// fed is a key that a generation has of a spring.
type fed struct {
	spring *spring
	key    *keyring.Key // with a reference of the generation's
}

// feedKeys gets the keys that have a source and that policies in use are granted.
func (b *build) feedKeys(ctx context.Context) {
	tried := map[string]bool{}
	for _, r := range b.rows {
		for _, use := range b.m.Policies[r.config.Policy].Keys {
			if k := b.m.Keys[use.Key]; k.Source != nil && !tried[use.Key] {
				tried[use.Key] = true
				b.feedKey(ctx, use.Key, k)
			}
		}
	}
}

func (b *build) feedKey(ctx context.Context, name string, k manifest.Key) {
	path := manifest.KeySourcePath(name)
	use := k.Source.Use()
	b.loadArtifact(use.Policy)
	artifact := b.artifacts[use.Policy]
	if artifact == nil {
		b.refuseSource("policy."+use.Policy, b.unloaded[use.Policy])
		return
	}
	if violations := artifact.CheckConfig(use.ResolvedConfig()); len(violations) > 0 {
		for _, v := range violations {
			b.problem(use.ConfigPath(path, v.Path), v.Wrong, v.Right)
		}
		return
	}
	of, err := b.spring(ctx, name, k, b.spec(use.Policy, artifact, use.ResolvedConfig()))
	if err != nil {
		if ctx.Err() == nil {
			b.problem(path, "the key cannot be had: "+err.Error(), "")
		}
		return
	}
	key := of.Current()
	b.fed[name] = key
	b.g.fed = append(b.g.fed, fed{of, key})
}

// spring returns what feeds a key, with a reference: what there is, or a source that is started
// and asked now.
func (b *build) spring(ctx context.Context, name string, k manifest.Key, spec policy.Spec) (*spring, error) {
	id := springID(spec, name, k)
	if there := b.e.springs.take(id); there != nil {
		return there, nil
	}
	kept, err := b.obtain(ctx, spec)
	if err != nil {
		return nil, err
	}
	err = policy.ErrNoKeys
	source, can := kept.Policy.(policy.KeySource)
	made := &spring{id: id, name: name, slot: kept}
	if can {
		made.Feed, err = feed.Open(ctx, source, k, spec.Log)
	}
	if err != nil {
		return nil, errors.Join(err, b.e.slots.release(ctx, kept))
	}
	b.e.springs.put(id, made) // builds follow one another, so it is free
	made.Watch(func(ctx context.Context) { b.e.follow(ctx, made) })
	return made, nil
}

// errUnfed says that a policy lacks a key, which is a problem noted already.
var errUnfed = errors.New("its key cannot be had")

// keysOf returns the keys that a policy is granted.
func (b *build) keysOf(name string) (map[string]keyring.Granted, error) {
	granted := b.m.GrantedKeys(name, b.fed)
	for as, g := range granted {
		switch {
		case g.Key == nil:
			return nil, errUnfed
		case g.May&^g.Key.Can() != 0:
			return nil, fmt.Errorf("its key %s is public: it cannot %v", as, keyring.UseNames(g.May&^g.Key.Can()))
		}
	}
	return granted, nil
}

// follow makes the running generation anew if it has another key than the spring.
func (e *Engine) follow(ctx context.Context, of *spring) {
	if e.takeTurn(ctx) != nil {
		return
	}
	defer e.giveTurn()
	running := e.current.Load()
	if running == nil || !running.isBehind(of) {
		return
	}
	started := time.Now()
	change, err := e.rekey(ctx, running)
	if ctx.Err() != nil {
		return
	}
	e.remember("key "+of.name, started, change, err)
	if err != nil {
		e.opts.Log.Error("a key has changed, but its policies cannot be made anew", "key", of.name, "err", err)
	}
}

// isBehind reports whether the generation has another key of a spring than that has now.
func (g *generation) isBehind(of *spring) bool {
	now := of.Current()
	defer now.Release()
	for _, had := range g.fed {
		if had.spring == of {
			return had.key.Fingerprint() != now.Fingerprint()
		}
	}
	return false
}

// rekey puts what is made of the same manifest and artifacts, with the keys of now, in the
// place of the running generation: no rollback leads back to that.
func (e *Engine) rekey(ctx context.Context, running *generation) (*Change, error) {
	from := Source{Path: running.manifest.Source().File(), Data: running.text}
	b, err := e.build(ctx, from, sources{artifacts: running.artifacts})
	if err != nil {
		return nil, err
	}
	if err := e.number(b); err != nil {
		b.abandon()
		return nil, err
	}
	stack := e.reachable()
	return e.activate(b, append(stack[:len(stack)-1], b.g)), nil
}
