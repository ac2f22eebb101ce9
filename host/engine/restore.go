package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ergoproxy/ergo/host/policy"
)

// disk is what an engine keeps under the data directory, in a folder of its
// mode: an edge host and a service host may share the directory.
type disk struct {
	archive *archive
	store   *policy.Store
	lock    *os.File
}

// openDisk opens the store and the archive of the data directory, once: a
// manifest that names another one takes effect at the next start.
func (e *Engine) openDisk(data string) (*disk, error) {
	if e.disk != nil {
		return e.disk, nil
	}
	folder := filepath.Join(data, string(e.opts.Mode))
	a, err := openArchive(filepath.Join(folder, "generations"))
	if err != nil {
		return nil, err
	}
	store, err := policy.OpenStore(filepath.Join(folder, "store"))
	if err != nil {
		return nil, err
	}
	ids, err := a.ids()
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if len(ids) > 0 {
		e.lastID = ids[len(ids)-1]
	}
	e.disk = &disk{archive: a, store: store, lock: lock}
	return e.disk, nil
}

// closeDisk lets another process have the data directory.
func (e *Engine) closeDisk() error {
	if e.disk == nil {
		return nil
	}
	lock := e.disk.lock
	e.disk = nil
	return lock.Close()
}

// keepOnDisk gives b's generation its id and keeps all that it takes to build it
// again.
func (e *Engine) keepOnDisk(b *build) error {
	d, err := e.openDisk(b.m.Host.Data)
	if err != nil {
		return err
	}
	entry := archived{ID: e.lastID + 1, Path: b.m.Source().File(), Manifest: b.text, Artifacts: map[string]string{}}
	for name, artifact := range b.artifacts {
		digest, err := d.store.Put(artifact)
		if err != nil {
			return err
		}
		entry.Artifacts[name] = digest
	}
	if err := d.archive.save(entry, b.m.Host.KeepGenerations+1); err != nil {
		return err
	}
	if err := d.clean(); err != nil {
		e.opts.Log.Warn("old artifacts stay in the store", "err", err)
	}
	e.lastID++
	b.g.id = e.lastID
	return nil
}

// clean removes what no archived generation is made of.
func (d *disk) clean() error {
	ids, err := d.archive.ids()
	if err != nil {
		return err
	}
	var digests []string
	for _, id := range ids {
		entry, err := d.archive.load(id)
		if err != nil {
			return err
		}
		for _, digest := range entry.Artifacts {
			digests = append(digests, digest)
		}
	}
	return d.store.Keep(digests)
}

// reopen prepares a generation that is still whole in memory to run again.
func (e *Engine) reopen(g *generation) (*build, error) {
	b := &build{e: e, m: g.manifest, g: g, listeners: noListeners{}, kept: len(g.slots)}
	b.prepareListeners()
	return b, b.problems.Err()
}

// restore builds the generation that many steps before the oldest of stack from
// the archive.
func (e *Engine) restore(ctx context.Context, stack []*generation, steps int) (*build, error) {
	if e.disk == nil || len(stack) == 0 {
		return nil, ErrNoGeneration
	}
	ids, err := e.disk.archive.ids()
	if err != nil {
		return nil, err
	}
	older := 0
	for older < len(ids) && ids[older] < stack[0].id {
		older++
	}
	if steps > older {
		return nil, fmt.Errorf("%d steps back, with %d kept: %w", steps+len(stack)-1, older+len(stack)-1, ErrNoGeneration)
	}
	entry, err := e.disk.archive.load(ids[older-steps])
	if err != nil {
		return nil, err
	}
	b, err := e.build(ctx, Source{Path: entry.Path, Data: entry.Manifest}, sources{digests: entry.Artifacts, store: e.disk.store})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build generation %d again", entry.ID), err)
	}
	b.g.id = entry.ID
	return b, nil
}
