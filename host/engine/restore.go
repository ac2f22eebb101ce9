package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ergoproxy/ergo/host/engine/disk"
)

// openDisk opens what is under the data directory, once: a manifest that names
// another one takes effect at the next start.
func (e *Engine) openDisk(data string) (*disk.Disk, error) {
	if e.disk != nil {
		return e.disk, nil
	}
	d, err := disk.Open(e.folder(data), &e.history)
	if err != nil {
		return nil, err
	}
	ids, err := d.Archive.IDs()
	if err != nil {
		return nil, errors.Join(err, d.Close(), e.history.Close())
	}
	e.lastID = max(e.lastID, e.history.LastID())
	if len(ids) > 0 {
		e.lastID = max(e.lastID, ids[len(ids)-1])
	}
	e.disk = d
	return d, nil
}

// folder is where an engine of its mode keeps things under a data directory: an
// edge host and a service host may share the directory.
func (e *Engine) folder(data string) string { return filepath.Join(data, string(e.opts.Mode)) }

// closeDisk lets another process have the data directory.
func (e *Engine) closeDisk() error {
	if e.disk == nil {
		return nil
	}
	d := e.disk
	e.disk = nil
	return errors.Join(e.history.Close(), d.Close())
}

// number gives b's generation its id and keeps it on disk. A disk that is full
// or cannot be written to costs rollbacks across a restart, not the swap, nor a
// start; only another host's directory is left alone.
func (e *Engine) number(b *build) error {
	err := e.keepOnDisk(b)
	if err == nil || errors.Is(err, disk.ErrHeld) {
		return err
	}
	e.lastID++
	b.g.id = e.lastID
	e.opts.Log.Warn("generation not kept on disk: no rollback reaches it after a restart", "generation", b.g.id, "err", err)
	return nil
}

// keepOnDisk gives b's generation its id and keeps all that it takes to build it
// again.
func (e *Engine) keepOnDisk(b *build) error {
	d, err := e.openDisk(b.m.Host.Data)
	if err != nil {
		return err
	}
	entry := disk.Entry{ID: e.lastID + 1, Path: b.m.Source().File(), Manifest: b.text, Artifacts: map[string]string{}}
	for name, artifact := range b.artifacts {
		digest, err := d.Store.Put(artifact)
		if err != nil {
			return err
		}
		entry.Artifacts[name] = digest
	}
	if err := d.Archive.Save(entry); err != nil {
		return err
	}
	e.lastID++
	b.g.id = e.lastID
	e.tidy(b.m.Host.KeepGenerations + 1)
	return nil
}

// tidy removes from disk all but the newest generations and what they are made
// of. What cannot be removed is in nobody's way.
func (e *Engine) tidy(keep int) {
	err := e.disk.Archive.KeepNewest(keep)
	if err == nil {
		err = e.disk.Clean()
	}
	if err != nil {
		e.opts.Log.Warn("old generations stay on disk", "err", err)
	}
	e.noteArchived()
}

// forgetAfter removes from disk the generations that a rollback left behind.
func (e *Engine) forgetAfter(id uint64) {
	if e.disk == nil {
		return
	}
	if err := e.disk.Archive.RemoveAfter(id); err != nil {
		e.opts.Log.Warn("generations that were rolled back stay on disk", "err", err)
	}
	e.noteArchived()
}

// noteArchived notes what is on disk for who asks meanwhile.
func (e *Engine) noteArchived() {
	ids, err := e.disk.Archive.IDs()
	if err != nil {
		e.opts.Log.Warn("archived generations cannot be told", "err", err)
	}
	e.mu.Lock()
	e.archived = ids
	e.mu.Unlock()
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
	ids, err := e.disk.Archive.IDs()
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
	entry, err := e.disk.Archive.Load(ids[older-steps])
	if err != nil {
		return nil, err
	}
	b, err := e.build(ctx, Source{Path: entry.Path, Data: entry.Manifest}, sources{digests: entry.Artifacts, store: e.disk.Store})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build generation %d again", entry.ID), err)
	}
	b.g.id = entry.ID
	return b, nil
}
