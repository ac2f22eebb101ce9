package policies

import (
	"os"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
)

// TestReadmeExamples loads every configuration that a policy's README shows.
func TestReadmeExamples(t *testing.T) {
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) { newSuite(t, name).Readme(t) })
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
