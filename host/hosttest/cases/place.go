package cases

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/ergoproxy/ergo/host/cli"
)

// RefusedWithPlace has `ergo check` refuse each configuration that the cases call wrong,
// and say where in the manifest it stands. data is the folder of that host.
func (s *Suite) RefusedWithPlace(t *testing.T, data string) {
	head := fmt.Sprintf("host.data = %q\n", data) + s.ManifestText(t)
	for _, c := range s.File.Refuse {
		t.Run(c.Name, func(t *testing.T) { c.check(t, head, s.Artifact.File.Name) })
	}
}

// place is what a problem of a use begins with.
var place = regexp.MustCompile(`(?m)^(.+):(\d+):\d+: edge\.stage\[0\]\.use\[0\][^\n]*: (.*)$`)

func (c *Refusal) check(t *testing.T, head, name string) {
	use := map[string]any{"policy": name, "config": c.Config}
	tail := map[string]any{"edge": map[string]any{"stage": []any{map[string]any{"name": "alone", "use": []any{use}}}}}
	var text bytes.Buffer
	text.WriteString(head)
	if err := toml.NewEncoder(&text).Encode(tail); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "proxy.toml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	if status := cli.Execute(t.Context(), []string{"check", "-c", file}, cli.Streams{Out: &out, Err: &said}); status != 1 {
		t.Fatalf("got exit status %d, want 1; said\n%s%s", status, &out, &said)
	}
	m := place.FindStringSubmatch(said.String())
	if m == nil {
		t.Fatalf("no place in\n%s", &said)
	}
	if line, _ := strconv.Atoi(m[2]); m[1] != file || line <= strings.Count(head, "\n") {
		t.Errorf("%s is not where the use stands, of\n%s", m[0], &text)
	}
	if c.By == "policy" && !strings.Contains(said.String(), c.Says) {
		t.Errorf("got %s, want it to say %q", &said, c.Says)
	}
}
