package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/ergoproxy/ergo/host/policy"
)

// TestReadmeExamples loads every configuration that a policy's README shows.
func TestReadmeExamples(t *testing.T) {
	for _, name := range shipped(t) {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, name)
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

// TestReadmePolicyFile: the policy.toml that authors start from is one, and its
// schema takes its example.
func TestReadmePolicyFile(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, file, found := strings.Cut(string(text), "```toml\nname = ")
	file, _, closed := strings.Cut("name = "+file, "```")
	if !found || !closed {
		t.Fatal("no policy.toml")
	}
	a, err := policy.NewArtifact("teapot", []byte(file), []byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := a.CheckConfig(a.File.ExampleConfig()); len(wrong) > 0 {
		t.Errorf("example: %v", wrong)
	}
	if wrong := a.CheckConfig([]byte(`{"path":"tea"}`)); len(wrong) == 0 {
		t.Error("the schema takes anything")
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
