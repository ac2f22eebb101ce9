package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
)

var module = []byte("\x00asm\x01\x00\x00\x00")

const moduleDigest = "sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"

const policyFile = `
name = "greet"
version = "1.2.3"
family = "transform"
summary = "Greets."
license = "Apache-2.0"
abi = "http-wasm"
`

// folder makes an artifact's folder.
func folder(t *testing.T, text string, module []byte) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "policy.toml"), []byte(text))
	write(t, filepath.Join(dir, "policy.wasm"), module)
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadFolder(t *testing.T) {
	dir := folder(t, policyFile, module)
	a, err := LoadArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest != moduleDigest || string(a.Module) != string(module) || a.Source != dir {
		t.Errorf("got digest %s, %d bytes, source %s", a.Digest, len(a.Module), a.Source)
	}
	if a.File.Name != "greet" || a.File.Version != "1.2.3" {
		t.Errorf("got %s %s, want greet 1.2.3", a.File.Name, a.File.Version)
	}
}

func TestLoadBareModule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greet.wasm")
	write(t, path, module)
	a, err := LoadArtifact(path)
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest != moduleDigest || a.File.Name != "greet" || a.File.ABI != "http-wasm" || a.File.Version != "0.0.0+93a44bbb96c7" {
		t.Errorf("got %s: %+v", a.Digest, a.File)
	}
	if v := a.CheckConfig([]byte(`{"any":"thing"}`)); v != nil {
		t.Errorf("a bare module refuses a configuration: %v", v)
	}
}

func TestLoadRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.wasm")
	write(t, outside, module)
	empty := t.TempDir()
	missing := t.TempDir()
	write(t, filepath.Join(missing, "policy.toml"), []byte(policyFile))
	linked := t.TempDir()
	write(t, filepath.Join(linked, "policy.toml"), []byte(policyFile))
	if err := os.Symlink(outside, filepath.Join(linked, "policy.wasm")); err != nil {
		t.Fatal(err)
	}
	huge := folder(t, policyFile, nil)
	if err := os.Truncate(filepath.Join(huge, "policy.wasm"), MaxModuleBytes+1); err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	write(t, filepath.Join(directory, "policy.toml"), []byte(policyFile))
	if err := os.Mkdir(filepath.Join(directory, "policy.wasm"), 0o700); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, source string
		check        func(error) bool
	}{
		{"nothing", filepath.Join(missing, "none"), is(fs.ErrNotExist)},
		{"no policy.toml", t.TempDir(), is(fs.ErrNotExist)},
		{"no policy.toml, by its whole path", empty, mentions("read " + filepath.Join(empty, "policy.toml") + ":")},
		{"no module", missing, is(fs.ErrNotExist)},
		{"no Wasm", folder(t, policyFile, []byte("#!/bin/sh")), is(errNotWasm)},
		{"empty module", folder(t, policyFile, nil), is(errNotWasm)},
		{"module too large", huge, is(errTooLarge)},
		{"module is a folder", directory, is(errIrregular)},
		{"link out of the folder", linked, func(err error) bool { return strings.Contains(err.Error(), "escapes") }},
		{"path out of the folder", folder(t, policyFile+`module = "../secret.wasm"`, module), isProblems},
		{"bad policy.toml", folder(t, policyFile+"nonsense = 1", module), isProblems},
		{"bad schema", folder(t, policyFile+"[config]\ntype = 7", module), mentions("schema")},
		{"schema elsewhere", folder(t, policyFile+"[config]\n\"$ref\" = \"file:///etc/passwd\"", module), mentions(errForeignSchema.Error())},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := LoadArtifact(c.source); err == nil || !c.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func mentions(word string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), word) }
}

func isProblems(err error) bool {
	var problems manifest.Problems
	return errors.As(err, &problems)
}

func TestErrorNamesPolicyAndKind(t *testing.T) {
	err := error(&Error{Kind: Overload, Policy: "greet", Err: fs.ErrClosed})
	if got, want := err.Error(), "policy greet: overload: file already closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrClosed) {
		t.Error("it does not unwrap")
	}
}
