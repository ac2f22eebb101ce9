package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	folder, err := os.MkdirTemp("", "ergo-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	modules = cache(folder)
	return m.Run(), nil
}

// modules are those that an earlier host of this test run has compiled.
var modules cache

// cache is a folder of compiled modules that hosts start with.
type cache string

// lend copies the modules to where a host looks for them.
func (c cache) lend(t testing.TB, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(string(c))); err != nil {
		t.Fatal(err)
	}
}

// keep copies what a host has compiled, unless some is there already.
func (c cache) keep(t testing.TB, from string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, err := filepath.Rel(from, file)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(string(c), name)
		if _, err := os.Stat(to); err == nil {
			continue
		}
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
