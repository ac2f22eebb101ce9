package cases

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// Readme loads every configuration that the policy's README shows.
func (s *Suite) Readme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(s.Artifact.File.Name, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```toml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no example")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		s.loadExample(t, block)
	}
}

func (s *Suite) loadExample(t *testing.T, block string) {
	t.Helper()
	name := s.Artifact.File.Name
	type use struct {
		Policy string
		Config map[string]any
	}
	type tier struct{ Stage []struct{ Use []use } }
	var manifest struct {
		Edge, Service tier
		Key           map[string]struct{ Source use }
	}
	if _, err := toml.Decode(block, &manifest); err != nil {
		t.Fatalf("%v in\n%s", err, block)
	}
	var uses []use
	for _, stage := range slices.Concat(manifest.Edge.Stage, manifest.Service.Stage) {
		uses = append(uses, stage.Use...)
	}
	for _, key := range manifest.Key {
		uses = append(uses, key.Source)
	}
	uses = slices.DeleteFunc(uses, func(u use) bool { return u.Policy != name })
	for _, u := range uses {
		s.Load(t, "README.md", u.Config)
	}
	if len(uses) == 0 {
		t.Errorf("no use of %s in\n%s", name, block)
	}
}
