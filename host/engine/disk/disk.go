// Package disk is what an engine keeps under the data directory: the manifests of
// the last generations, the modules that they are made of, and what was tried
// with them.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ergoproxy/ergo/host/policy"
)

// Disk is a folder that belongs to this process until Close. It is not safe for
// concurrent use.
type Disk struct {
	Archive *Archive
	Store   *policy.Store
	lock    *os.File
}

// ErrHeld says that another process works with the folder.
var ErrHeld = errors.New("held by another host: give each its own host.data")

// Open takes a folder, which is made if it is not there, and has h go on with
// the history in it.
func Open(folder string, h *History) (*Disk, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	lock, err := lockFolder(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	d := &Disk{lock: lock}
	if err := d.open(folder, h); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// open opens the parts of a folder that is locked.
func (d *Disk) open(folder string, h *History) (err error) {
	if d.Archive, err = openArchive(ArchiveIn(folder)); err != nil {
		return err
	}
	if d.Store, err = policy.OpenStore(storeIn(folder)); err != nil {
		return err
	}
	if _, err := d.Archive.IDs(); err != nil {
		return err
	}
	return h.Open(filepath.Join(folder, "history.jsonl"))
}

// ArchiveIn is where the archive of a folder is.
func ArchiveIn(folder string) string { return filepath.Join(folder, "generations") }

func storeIn(folder string) string { return filepath.Join(folder, "store") }

// Close lets another process have the folder.
func (d *Disk) Close() error { return d.lock.Close() }

// Clean removes what no archived generation is made of.
func (d *Disk) Clean() error {
	ids, err := d.Archive.IDs()
	if err != nil {
		return err
	}
	var digests []string
	for _, id := range ids {
		entry, err := d.Archive.Load(id)
		if err != nil {
			return err
		}
		for _, digest := range entry.Artifacts {
			digests = append(digests, digest)
		}
	}
	return d.Store.Keep(digests)
}

// Stored looks for a module among what the generations in a folder are made of,
// the newest first, and returns its artifact; nil if it is not there. It writes
// nothing and needs no lock, so that a check can ask as well as a start.
func Stored(folder, digest string) *policy.Artifact {
	if _, err := os.Stat(storeIn(folder)); err != nil {
		return nil
	}
	store, err := policy.OpenStore(storeIn(folder))
	if err != nil {
		return nil
	}
	a := Archive{ArchiveIn(folder)}
	ids, err := a.IDs()
	if err != nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		entry, err := a.Load(id)
		if err != nil {
			continue // a broken entry says nothing about the others
		}
		for _, key := range entry.Artifacts {
			if artifact, err := store.Get(key); err == nil && artifact.Digest == digest {
				return artifact
			}
		}
	}
	return nil
}
