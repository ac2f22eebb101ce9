package policies

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

// TestRefusedWithPlace: `ergo check` refuses each configuration that a policy's cases call
// wrong, and says where in the manifest it stands.
func TestRefusedWithPlace(t *testing.T) {
	data, err := filepath.Abs(filepath.Join("target", "host"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range shipped(t) {
		s := newSuite(t, name)
		head := fmt.Sprintf("host.data = %q\n", data) + s.manifestText(t)
		for _, c := range s.cases.Refuse {
			t.Run(name+" "+c.Name, func(t *testing.T) {
				c.check(t, head, name)
			})
		}
	}
}

// place is what a problem of a use begins with.
var place = regexp.MustCompile(`(?m)^(.+):(\d+):\d+: edge\.stage\[0\]\.use\[0\][^\n]*: (.*)$`)

func (c *refuseCase) check(t *testing.T, head, name string) {
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
