package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// TestReadmeExamples loads every configuration that a policy's README shows.
func TestReadmeExamples(t *testing.T) {
	engine := openEngine(t)
	for _, name := range shipped(t) {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, engine, name)
			text, err := os.ReadFile(filepath.Join(name, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			blocks := strings.Split(string(text), "```toml\n")[1:]
			if len(blocks) == 0 {
				t.Fatal("no example")
			}
			for _, block := range blocks {
				block, _, _ = strings.Cut(block, "```")
				s.loadExample(t, name, block)
			}
		})
	}
}

func (s *suite) loadExample(t *testing.T, name, block string) {
	t.Helper()
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
				s.load(t, "README.md", use.Config)
				uses++
			}
		}
	}
	if uses == 0 {
		t.Errorf("no use of %s in\n%s", name, block)
	}
}
