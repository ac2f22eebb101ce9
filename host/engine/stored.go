package engine

import (
	"os"
	"slices"

	"github.com/ergoproxy/ergo/host/policy"
)

// stored looks for a module among what the generations on disk are made of, the
// newest first, and returns its artifact; nil if it is not there. It writes
// nothing and needs no lock, so that a check can ask as well as a start.
func (e *Engine) stored(data, digest string) *policy.Artifact {
	folder := e.folder(data)
	if _, err := os.Stat(storeIn(folder)); err != nil {
		return nil
	}
	store, err := policy.OpenStore(storeIn(folder))
	if err != nil {
		return nil
	}
	a := archive{archiveIn(folder)}
	ids, err := a.ids()
	if err != nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		entry, err := a.load(id)
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
