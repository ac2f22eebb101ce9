package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func openStore(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "store")
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func put(t *testing.T, s *Store, a *Artifact) string {
	t.Helper()
	digest, err := s.Put(a)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func artifact(t *testing.T, text string, module []byte) *Artifact {
	t.Helper()
	var file []byte
	if text != "" {
		file = []byte(text)
	}
	a, err := NewArtifact("policies/greet.wasm", file, module)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStoreGivesBack(t *testing.T) {
	s, _ := openStore(t)
	for name, a := range map[string]*Artifact{
		"with policy.toml": artifact(t, policyFile+schema, module),
		"bare":             artifact(t, "", module),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Get(put(t, s, a))
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest != a.Digest || got.Source != a.Source || string(got.Module) != string(a.Module) {
				t.Errorf("got %s from %s", got.Digest, got.Source)
			}
			if got.File.Name != a.File.Name || got.File.Version != a.File.Version || !reflect.DeepEqual(got.File.Config, a.File.Config) {
				t.Errorf("got file %+v, want %+v", got.File, a.File)
			}
			if checked, want := len(got.CheckConfig([]byte(`{}`))), len(a.CheckConfig([]byte(`{}`))); checked != want {
				t.Errorf("got %d violations, want %d", checked, want)
			}
		})
	}
}

func TestStoreTellsFilesOfOneModuleApart(t *testing.T) {
	s, _ := openStore(t)
	first, second := put(t, s, artifact(t, policyFile, module)), put(t, s, artifact(t, policyFile+schema, module))
	if first == second {
		t.Fatal("two policy.toml with one module have one digest")
	}
	a, err := s.Get(first)
	if err != nil || a.File.Config != nil {
		t.Errorf("got %v with a schema that came later", err)
	}
}

func TestStoreIsPrivate(t *testing.T) {
	s, dir := openStore(t)
	put(t, s, artifact(t, policyFile, module))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreNoticesAndMends(t *testing.T) {
	s, dir := openStore(t)
	a := artifact(t, policyFile, module)
	digest := put(t, s, a)
	path := filepath.Join(dir, "sha256", strings.TrimPrefix(a.Digest, digestPrefix))
	for _, damaged := range []string{"", "\x00asm, another one"} {
		write(t, path, []byte(damaged))
		if _, err := s.Get(digest); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v of changed bytes, want %v", err, ErrCorrupt)
		}
		put(t, s, a)
		if _, err := s.Get(digest); err != nil {
			t.Errorf("after it was put again: %v", err)
		}
	}
}

func TestStoreHasNot(t *testing.T) {
	s, dir := openStore(t)
	write(t, filepath.Join(dir, "outside"), []byte("x"))
	for _, digest := range []string{
		moduleDigest, "", "sha256:", "sha256:../outside", "sha256:" + strings.ToUpper(moduleDigest[7:]), moduleDigest[7:],
	} {
		if _, err := s.Get(digest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want %v", digest, err, fs.ErrNotExist)
		}
	}
}

func TestStoreKeep(t *testing.T) {
	s, dir := openStore(t)
	other := append([]byte(nil), module...)
	other[4] = 2
	kept, gone := put(t, s, artifact(t, policyFile, module)), put(t, s, artifact(t, "", other))
	if err := s.Keep([]string{kept}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(kept); err != nil {
		t.Errorf("what was to be kept: %v", err)
	}
	if _, err := s.Get(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was not to be kept: %v", err)
	}
	files, err := os.ReadDir(filepath.Join(dir, "sha256"))
	if err != nil || len(files) != 2 {
		t.Errorf("%d files are left (%v), want 2", len(files), err)
	}
}

func TestStoreHammer(t *testing.T) {
	s, dir := openStore(t)
	a := artifact(t, policyFile, module)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				digest, err := s.Put(a)
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if _, err := s.Get(digest); err != nil {
					t.Errorf("get: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	files, err := os.ReadDir(filepath.Join(dir, "sha256"))
	if err != nil || len(files) != 2 {
		t.Errorf("%d files are left (%v), want 2", len(files), err)
	}
}
