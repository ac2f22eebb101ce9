package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ergo is this repository's proxy.
type ergo struct {
	repository string
	dir        string                 // where the data folder goes
	build      func() (string, error) // returns the path of the binary; called for each target
}

// buildTimeout bounds the build, which on a fresh clone compiles everything.
const buildTimeout = 10 * time.Minute

// newErgo builds the binary, into dir, when the first of its targets is prepared, and only once.
func newErgo(ctx context.Context, repository, dir string, progress io.Writer) ergo {
	return ergo{repository: repository, dir: dir, build: sync.OnceValues(func() (string, error) {
		fmt.Fprintln(progress, "building ergo")
		return buildErgo(ctx, repository, dir)
	})}
}

func buildErgo(ctx context.Context, repository, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary := filepath.Join(dir, "ergo")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./host/cmd/ergo")
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ergo: %w: %s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// ergoSite is what the manifest's template sees.
type ergoSite struct {
	site
	Repository string
	Data       string // the data folder, shared by all of Ergo's targets as a real host's outlives its runs
}

// target is Ergo with so many policies: none; api-key; or api-key and that many less one uses of headers.
func (e ergo) target(policies int) target {
	return e.with(fmt.Sprintf("ergo-%d", policies), job{Keyed: policies > 0, Marks: max(0, policies-1)})
}

// cache is Ergo with the policy cache, whose store has a disk tier.
func (e ergo) cache(name string, does caching) target { return e.with(name, job{Cache: does}) }

func (e ergo) with(name string, j job) target {
	return target{
		name: name,
		job:  j,
		tool: tool{path: e.repository, version: e.version()},
		prepare: func(s site) (command, error) {
			binary, err := e.build()
			if err != nil {
				return command{}, err
			}
			data := ergoSite{site: s, Repository: e.repository, Data: filepath.Join(e.dir, "ergo-data")}
			if err := os.MkdirAll(data.Data, 0o700); err != nil {
				return command{}, err
			}
			manifest := filepath.Join(s.Dir, "proxy.toml")
			if err := render(manifest, "proxy.toml.tmpl", data); err != nil {
				return command{}, err
			}
			return command{argv: []string{binary, "run", "-c", manifest}}, nil
		},
	}
}

// version is the repository's revision; one with changes on top of a commit is marked as dirty.
func (e ergo) version() string {
	cmd := exec.Command("git", "describe", "--always", "--dirty")
	cmd.Dir = e.repository
	out, err := cmd.Output()
	if err != nil {
		return "ergo, revision unknown"
	}
	return "ergo " + strings.TrimSpace(string(out))
}
