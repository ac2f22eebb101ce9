package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLoadHostLooksNowhereElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.toml")
	text := "version = 9\n[host]\nadmin = \"unix:admin.sock\"\nadmin_token = \"env:TOKEN\"\n[edge]\nnonsense = 1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := WithEnv(func(name string) (string, bool) { return "s3cret", name == "TOKEN" })
	h, err := LoadHost(path, env)
	if err != nil {
		t.Fatal(err)
	}
	if want := "unix:" + filepath.Join(filepath.Dir(path), "admin.sock"); h.Admin != want {
		t.Errorf("admin: got %q, want %q", h.Admin, want)
	}
	if got := h.AdminToken.Reveal(); got != "s3cret" {
		t.Errorf("token: got %q", got)
	}
	if h.KeepGenerations != 5 {
		t.Errorf("defaults are missing: keep_generations is %d", h.KeepGenerations)
	}
}

func TestLoadHostReportsItsOwnProblems(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.toml")
	if err := os.WriteFile(path, []byte("[host]\nadmn = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems Problems
	if _, err := LoadHost(path); !errors.As(err, &problems) || problems[0].Line != 2 {
		t.Errorf("got %v", err)
	}
}
