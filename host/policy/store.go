package policy

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrCorrupt says that what the store holds under a digest is something else.
var ErrCorrupt = errors.New("content does not have its digest")

// Store keeps artifacts by digest, so that a rollback and a start need none of
// the places that they came from. It is a folder, private to its owner, with
// one file for each content at sha256/<hex>. It is safe for concurrent use, and
// but for Keep by several processes too.
type Store struct{ folder string }

// entry is how the store holds an artifact: the module is content of its own.
type entry struct {
	Module string `json:"module"`         // digest
	Text   []byte `json:"text,omitempty"` // of policy.toml; none for a bare module
	Source string `json:"source"`
}

// OpenStore opens a store, and makes it if there is none.
func OpenStore(folder string) (*Store, error) {
	content := filepath.Join(folder, "sha256")
	if err := os.MkdirAll(content, 0o700); err != nil {
		return nil, fmt.Errorf("open policy store: %w", err)
	}
	for _, f := range []string{folder, content} {
		if err := os.Chmod(f, 0o700); err != nil {
			return nil, fmt.Errorf("open policy store: %w", err)
		}
	}
	return &Store{content}, nil
}

// Put keeps an artifact and returns the digest to Get it by: that of module and
// policy.toml together, because one module may come with several. What is there
// already is not written again.
func (s *Store) Put(a *Artifact) (digest string, err error) {
	if _, err := s.put(a.Module); err != nil {
		return "", fmt.Errorf("store policy %s: %w", a.File.Name, err)
	}
	text, err := json.Marshal(entry{Module: a.Digest, Text: a.text, Source: a.Source})
	if err != nil {
		return "", fmt.Errorf("store policy %s: %w", a.File.Name, err)
	}
	digest, err = s.put(text)
	if err != nil {
		return "", fmt.Errorf("store policy %s: %w", a.File.Name, err)
	}
	return digest, nil
}

// Get returns the artifact that Put returned digest for. It fails with
// fs.ErrNotExist if there is none, and with ErrCorrupt if its bytes changed.
func (s *Store) Get(digest string) (*Artifact, error) {
	text, err := s.get(digest, MaxFileBytes*2)
	if err != nil {
		return nil, fmt.Errorf("get policy from store: %w", err)
	}
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("get policy from store: read %s: %w", digest, err)
	}
	module, err := s.get(e.Module, MaxModuleBytes)
	if err != nil {
		return nil, fmt.Errorf("get policy from store: module of %s: %w", e.Source, err)
	}
	return NewArtifact(e.Source, e.Text, module)
}

// Keep removes everything but the artifacts of these digests. No Put may be
// under way, in any process, whose digest is not among them.
func (s *Store) Keep(digests []string) error {
	kept := map[string]bool{}
	for _, digest := range digests {
		text, err := s.get(digest, MaxFileBytes*2)
		if err != nil {
			return fmt.Errorf("clean policy store: %w", err)
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return fmt.Errorf("clean policy store: read %s: %w", digest, err)
		}
		kept[strings.TrimPrefix(digest, digestPrefix)] = true
		kept[strings.TrimPrefix(e.Module, digestPrefix)] = true
	}
	files, err := os.ReadDir(s.folder)
	if err != nil {
		return fmt.Errorf("clean policy store: %w", err)
	}
	var errs []error
	for _, f := range files {
		if !kept[f.Name()] {
			errs = append(errs, os.Remove(filepath.Join(s.folder, f.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean policy store: %w", err)
	}
	return nil
}

// put writes content whole or not at all. What is there is trusted only if it
// reads back right; otherwise it is replaced.
func (s *Store) put(data []byte) (digest string, err error) {
	digest = Digest(data)
	if _, err := s.get(digest, int64(len(data))); err == nil {
		return digest, nil
	}
	temporary, err := os.CreateTemp(s.folder, ".new-*") // 0600
	if err != nil {
		return "", err
	}
	_, err = temporary.Write(data)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary.Name()))
	}
	path, err := s.path(digest)
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(temporary.Name()))
	}
	return digest, nil
}

// get reads content back and verifies it.
func (s *Store) get(digest string, max int64) ([]byte, error) {
	path, err := s.path(digest)
	if err != nil {
		return nil, err
	}
	data, err := readIn(s.folder, filepath.Base(path), max)
	if err != nil {
		return nil, err
	}
	if Digest(data) != digest {
		return nil, fmt.Errorf("%s: %w", digest, ErrCorrupt)
	}
	return data, nil
}

// path returns the file of a digest, which must be a well-formed one.
func (s *Store) path(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, digestPrefix)
	if sum, err := hex.DecodeString(name); !ok || err != nil || len(sum) != 32 || strings.ToLower(name) != name {
		return "", fmt.Errorf("digest %q: %w", digest, fs.ErrNotExist)
	}
	return filepath.Join(s.folder, name), nil
}
