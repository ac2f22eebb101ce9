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

// errHeld says that another process works with the data directory.
var errHeld = errors.New("held by another host: give each its own host.data")

// openDisk opens what is under the data directory, once: a manifest that names
// another one takes effect at the next start.
func (e *Engine) openDisk(data string) (*disk, error) {
	if e.disk != nil {
		return e.disk, nil
	}
	folder := e.folder(data)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	lock, err := lockFolder(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := e.fillDisk(folder, lock); err != nil {
		return nil, errors.Join(err, lock.Close(), e.history.close())
	}
	return e.disk, nil
}

// folder is where an engine of its mode keeps things under a data directory.
func (e *Engine) folder(data string) string { return filepath.Join(data, string(e.opts.Mode)) }

// fillDisk opens the parts of a folder that is locked.
func (e *Engine) fillDisk(folder string, lock *os.File) error {
	a, err := openArchive(archiveIn(folder))
	if err != nil {
		return err
	}
	store, err := policy.OpenStore(storeIn(folder))
	if err != nil {
		return err
	}
	ids, err := a.ids()
	if err != nil {
		return err
	}
	if err := e.history.open(filepath.Join(folder, "history.jsonl")); err != nil {
		return err
	}
	e.lastID = max(e.lastID, e.history.lastID())
	if len(ids) > 0 {
		e.lastID = max(e.lastID, ids[len(ids)-1])
	}
	e.disk = &disk{archive: a, store: store, lock: lock}
	return nil
}

func archiveIn(folder string) string { return filepath.Join(folder, "generations") }
func storeIn(folder string) string   { return filepath.Join(folder, "store") }

// closeDisk lets another process have the data directory.
func (e *Engine) closeDisk() error {
	if e.disk == nil {
		return nil
	}
	lock := e.disk.lock
	e.disk = nil
	return errors.Join(e.history.close(), lock.Close())
}

// number gives b's generation its id and keeps it on disk. A disk that is full
// or cannot be written to costs rollbacks across a restart, not the swap, nor a
// start; only another host's directory is left alone.
func (e *Engine) number(b *build) error {
	err := e.keepOnDisk(b)
	if err == nil || errors.Is(err, errHeld) {
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
	entry := archived{ID: e.lastID + 1, Path: b.m.Source().File(), Manifest: b.text, Artifacts: map[string]string{}}
	for name, artifact := range b.artifacts {
		digest, err := d.store.Put(artifact)
		if err != nil {
			return err
		}
		entry.Artifacts[name] = digest
	}
	if err := d.archive.save(entry); err != nil {
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
	err := e.disk.archive.keepNewest(keep)
	if err == nil {
		err = e.disk.clean()
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
	if err := e.disk.archive.removeAfter(id); err != nil {
		e.opts.Log.Warn("generations that were rolled back stay on disk", "err", err)
	}
	e.noteArchived()
}

// noteArchived notes what is on disk for who asks meanwhile.
func (e *Engine) noteArchived() {
	ids, err := e.disk.archive.ids()
	if err != nil {
		e.opts.Log.Warn("archived generations cannot be told", "err", err)
	}
	e.mu.Lock()
	e.archived = ids
	e.mu.Unlock()
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
