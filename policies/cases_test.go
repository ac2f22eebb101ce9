// Package policies has the cases of all shipped policies run in the real host.
package policies

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// TestCases runs every policies/*/cases.toml against the module beside it, or
// against one that policies/build left in the folder ERGO_POLICIES.
func TestCases(t *testing.T) { runCases(t, wasm.Options{}, "shared") }

// A policy acts alike in instances that were started, in clones of one that was, and
// in clones that are reset after each exchange.
func TestCasesInPlainInstances(t *testing.T) {
	runCases(t, wasm.Options{HeapMemory: true}, "shared")
}

func TestCasesInFreshInstances(t *testing.T) { runCases(t, wasm.Options{}, "exchange") }

func TestPoliciesAreCloned(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is cloned here")
	}
	for _, name := range cases.Folders(t) {
		s := newSuite(t, name)
		if why := s.Load(t, "example", s.Artifact.File.Example).Stats().Plain; why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}

// The modules behave alike before they are rewritten to be metered.
func TestCasesUnmetered(t *testing.T) {
	if race.Enabled {
		t.Skip("it is about the guests, which the race detector does not see")
	}
	runCases(t, wasm.Options{Unmetered: true}, "shared")
}

func runCases(t *testing.T, guests wasm.Options, isolation string) {
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) {
			s := newSuiteWith(t, guests, name)
			s.Settings.Isolation = isolation
			s.Run(t)
		})
	}
}

func newSuite(t testing.TB, name string) *cases.Suite {
	t.Helper()
	return newSuiteWith(t, wasm.Options{}, name)
}

func newSuiteWith(t testing.TB, guests wasm.Options, name string) *cases.Suite {
	t.Helper()
	return openSuite(t, guests, name, "")
}

// openSuite is newSuiteWith for a manifest that says something else than the cases'.
func openSuite(t testing.TB, guests wasm.Options, name, more string) *cases.Suite {
	t.Helper()
	guests.CacheDir = filepath.Join("target", "cache") // compiled once for all tests
	return cases.Open(t, artifact(t, name), guests, more)
}

// artifact is the policy in a folder, or that with the module that policies/build left.
func artifact(t testing.TB, name string) *policy.Artifact {
	t.Helper()
	a, err := policy.LoadArtifact(name)
	if err != nil {
		t.Fatal(err)
	}
	rebuilt := os.Getenv("ERGO_POLICIES")
	if rebuilt == "" {
		return a
	}
	text, err := os.ReadFile(filepath.Join(name, "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(rebuilt, name, "policy.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = policy.NewArtifact(name, text, module); err != nil {
		t.Fatal(err)
	}
	return a
}
