// Package plugins has the cases of all shipped plugins run in the real host.
package plugins

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// TestMain builds the plugins where their policy.toml has them, as `make plugins` does.
func TestMain(m *testing.M) {
	build := exec.Command("make", "-C", "..", "plugins")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, name string) *cases.Suite {
	t.Helper()
	a, err := policy.LoadArtifact(name)
	if err != nil {
		t.Fatal(err)
	}
	return cases.Open(t, a, wasm.Options{}, "")
}

func TestCases(t *testing.T) {
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) { open(t, name).Run(t) })
	}
}

func TestRefusedWithPlace(t *testing.T) {
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) { open(t, name).RefusedWithPlace(t, filepath.Join(t.TempDir(), "data")) })
	}
}

func TestReadmeExamples(t *testing.T) {
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) { open(t, name).Readme(t) })
	}
}

// BenchmarkForward measures a whole visit of each, both phases, one at a time, with the
// first case that it lets pass.
func BenchmarkForward(b *testing.B) {
	for _, name := range cases.Folders(b) {
		b.Run(name, func(b *testing.B) { open(b, name).Forward(b) })
	}
}
