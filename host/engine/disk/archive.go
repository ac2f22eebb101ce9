package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Archive keeps the manifests of the last generations on disk, so that a
// rollback reaches across a restart and ids go on where they stopped. The
// modules themselves are in the content store.
type Archive struct{ folder string }

// Entry is what a generation is built from again.
type Entry struct {
	ID        uint64            `json:"id"`
	Path      string            `json:"path"`      // of the manifest; relative paths in it start here
	Manifest  []byte            `json:"manifest"`  // as it was written: references, not secrets
	Artifacts map[string]string `json:"artifacts"` // digest in the store by policy name
}

// openArchive makes the folder, private to its owner: a manifest may hold
// literal secrets.
func openArchive(folder string) (*Archive, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open archive of generations: %w", err)
	}
	return &Archive{folder}, nil
}

// IDs returns the ids of all archived generations, ascending.
func (a *Archive) IDs() ([]uint64, error) {
	entries, err := os.ReadDir(a.folder)
	if err != nil {
		return nil, fmt.Errorf("list archived generations: %w", err)
	}
	var ids []uint64
	for _, entry := range entries {
		digits, ok := strings.CutSuffix(entry.Name(), ".json")
		if id, err := strconv.ParseUint(digits, 10, 64); ok && err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Save writes a generation whole or not at all.
func (a *Archive) Save(entry Entry) error {
	text, err := json.Marshal(entry)
	if err == nil {
		err = writeFile(a.file(entry.ID), text)
	}
	if err != nil {
		return fmt.Errorf("archive generation %d: %w", entry.ID, err)
	}
	return nil
}

// KeepNewest removes all but that many of the newest generations.
func (a *Archive) KeepNewest(keep int) error {
	ids, err := a.IDs()
	if err != nil {
		return err
	}
	return a.remove(ids[:max(0, len(ids)-keep)])
}

// RemoveAfter removes the generations that are newer than id.
func (a *Archive) RemoveAfter(id uint64) error {
	ids, err := a.IDs()
	if err != nil {
		return err
	}
	older, found := slices.BinarySearch(ids, id)
	if found {
		older++
	}
	return a.remove(ids[older:])
}

func (a *Archive) remove(ids []uint64) error {
	for _, id := range ids {
		if err := os.Remove(a.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove archived generation %d: %w", id, err)
		}
	}
	return nil
}

// Load reads a generation back.
func (a *Archive) Load(id uint64) (Entry, error) {
	var entry Entry
	text, err := os.ReadFile(a.file(id))
	if err == nil {
		err = json.Unmarshal(text, &entry)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read archived generation %d: %w", id, err)
	}
	return entry, nil
}

func (a *Archive) file(id uint64) string {
	return filepath.Join(a.folder, fmt.Sprintf("%08d.json", id))
}

// writeFile replaces a file in one step, so that no reader and no crash sees
// half of it.
func writeFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(content); err != nil {
		temporary.Close()
		return err
	}
	if err := errors.Join(temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
