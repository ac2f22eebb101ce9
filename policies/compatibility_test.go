package policies

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/cli"
)

// before is what compatibility.md leaves out of its examples.
const before = `version = 1
host.data = %q

[[listener]]
address = "127.0.0.1:0"

[upstream.origin]
endpoints = ["ergo:echo"]

[service]
upstream = "origin"

`

// TestCompatibilityExamples has `ergo check` load every manifest of
// compatibility.md, with real guests under the names that it gives them.
func TestCompatibilityExamples(t *testing.T) {
	page, err := os.ReadFile("compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, module := range map[string]string{
		"headers.wasm": "headers/policy.wasm",
		"guest.wasm":   "../host/wasm/proxywasm/testdata/rust/guest.wasm",
	} {
		text, err := os.ReadFile(module)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "plugins", name), text)
	}
	blocks := strings.Split(string(page), "```toml\n")[1:]
	if len(blocks) != 7 {
		t.Errorf("%d examples, want one for each of six proxies and one of its own", len(blocks))
	}
	for i, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		manifest := filepath.Join(folder, fmt.Sprintf("%d.toml", i))
		write(t, manifest, []byte(fmt.Sprintf(before, filepath.Join(folder, "data"))+block))
		var said bytes.Buffer
		status := cli.Execute(context.Background(), []string{"check", "-c", manifest}, cli.Streams{Out: io.Discard, Err: &said})
		if status != 0 {
			t.Errorf("%s\nin\n%s", said.String(), block)
		}
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
