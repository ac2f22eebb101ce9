//go:build unix

package wasm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCacheFolderMustBePrivate(t *testing.T) {
	cases := []struct {
		what  string
		setUp func(dir string) error
		says  string // empty: accepted
	}{
		{"missing", func(string) error { return nil }, ""},
		{"private", func(dir string) error { return os.Mkdir(dir, 0o700) }, ""},
		{"open to the group", func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chmod(dir, 0o770)
		}, "mode 0770"},
		{"readable by all", func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chmod(dir, 0o755)
		}, "chmod 700"},
		{"a link", func(dir string) error {
			if err := os.Mkdir(dir+"-real", 0o700); err != nil {
				return err
			}
			return os.Symlink(dir+"-real", dir)
		}, "symbolic link"},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "make compilation cache"},
		{"of somebody else", func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, os.Geteuid()+1, -1)
		}, "belongs to user"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			if err := tc.setUp(dir); os.IsPermission(err) {
				t.Skip("only root can give a folder away")
			} else if err != nil {
				t.Fatal(err)
			}
			e, err := Open(Options{CacheDir: dir})
			if tc.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("the folder is %v, %v, want mode 0700", info, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}
