package cases

import (
	"os"
	"path/filepath"
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
	var manifest struct {
		Edge struct {
			Stage []struct {
				Use []struct {
					Policy string
					Config map[string]any
				}
			}
		}
	}
	if _, err := toml.Decode(block, &manifest); err != nil {
		t.Fatalf("%v in\n%s", err, block)
	}
	uses := 0
	for _, stage := range manifest.Edge.Stage {
		for _, use := range stage.Use {
			if use.Policy == name {
				s.Load(t, "README.md", use.Config)
				uses++
			}
		}
	}
	if uses == 0 {
		t.Errorf("no use of %s in\n%s", name, block)
	}
}
