package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// TestTour runs every line of README.md's tour as it stands, against the real
// binary on the real proxy.toml; only the ports are free ones.
func TestTour(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s: %v", tool, err)
		}
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := tour(string(readme))
	if len(steps) < 8 {
		t.Fatalf("README.md's tour has only %d steps", len(steps))
	}
	ports := strings.NewReplacer("127.0.0.1:8080", freeAddress(t), "127.0.0.1:9901", freeAddress(t))
	folder := t.TempDir()
	manifest, err := os.ReadFile(filepath.Join(root, "proxy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "proxy.toml"), []byte(ports.Replace(string(manifest))), 0o600); err != nil {
		t.Fatal(err)
	}
	policies, err := filepath.Abs(filepath.Join(root, "policies"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(policies, filepath.Join(folder, "policies")); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(folder, "ergo")
	build(t, binary)
	start(t, binary, folder, "run")
	waitReady(t, http.DefaultClient, ports.Replace("http://127.0.0.1:9901/readyz"))
	for _, s := range steps {
		command := exec.Command("bash", "-c", ports.Replace(s.command))
		command.Dir = folder
		var out, errs bytes.Buffer
		command.Stdout, command.Stderr = &out, &errs
		if err := command.Run(); err != nil {
			t.Fatalf("$ %s\n%v\n%s%s", s.command, err, out.String(), errs.String())
		}
		if got := strings.TrimSpace(strings.ReplaceAll(out.String(), "\r", "")); s.want != "" && got != s.want {
			t.Fatalf("$ %s\ngot:  %s\nwant: %s\n%s", s.command, got, s.want, errs.String())
		}
	}
}

// step is a command of the tour with the output that the page shows for it.
type step struct{ command, want string }

// tour returns the steps of all code blocks marked "sh tour".
func tour(page string) []step {
	var steps []step
	in := false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			in = line == "```sh tour"
		case in && isCommand:
			steps = append(steps, step{command: command})
		case in:
			last := &steps[len(steps)-1]
			last.want = strings.TrimSpace(last.want + "\n" + line)
		}
	}
	return steps
}
