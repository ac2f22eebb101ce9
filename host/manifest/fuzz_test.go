package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse checks that no text makes a parser panic, that every problem stands
// inside the file and says what would be right, that a manifest that is accepted
// is accepted again with the same meaning, and that no secret is shown.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"good", "bad", "policy/good", "policy/bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.toml"))
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", folder, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("a.b=1\na=2"))
	f.Add([]byte("version = 1\nversion = 1"))
	f.Add([]byte("edge.stage = [[[1]]]\nupstream.'' = {}\npolicy.\"\\u0000\" = 3"))
	options := newWorld(f).options()
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse("proxy.toml", text, options...)
		_, policyErr := ParsePolicyFile("policy.toml", text)
		checkProblems(t, text, err)
		checkProblems(t, text, policyErr)
		if m == nil {
			return
		}
		checkProblems(t, text, m.Warnings().Err())
		dump := m.Redacted()
		if !json.Valid(dump) || showsSecret(text, string(dump)) {
			t.Fatalf("dump is no JSON, or shows a secret:\n%s", dump)
		}
		again, err := Parse("proxy.toml", text, options...)
		if err != nil || !bytes.Equal(again.Redacted(), dump) {
			t.Fatalf("parsed again it is another manifest (%v)", err)
		}
	})
}

// showsSecret reports whether a secret got out that is not in the text itself.
func showsSecret(text []byte, shown string) bool {
	return strings.Contains(shown, hidden) && !bytes.Contains(text, []byte(hidden))
}

func checkProblems(t *testing.T, text []byte, err error) {
	t.Helper()
	var problems Problems
	if err == nil {
		return
	}
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("got error %v, want Problems", err)
	}
	lines := strings.Split(string(text), "\n")
	for _, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1])+1 {
			t.Errorf("outside of the file: %s", p)
		}
		if p.Wrong == "" || p.Right == "" || showsSecret(text, p.String()) {
			t.Errorf("without a mend, or with a secret: %s", p)
		}
	}
}
