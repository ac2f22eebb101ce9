package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	//go:embed suite/package.json
	packageFile []byte
	//go:embed suite/package-lock.json
	lockFile []byte
	//go:embed suite/cases.mjs
	casesScript []byte
	//go:embed suite/loopback.cjs
	loopbackScript []byte
	//go:embed suite/not-passed.txt
	notPassed string
)

// suite is the npm package, installed in a folder.
type suite struct {
	folder string
}

// installSuite brings the package and what it needs, as locked, into a folder.
// What is there already is kept.
func installSuite(ctx context.Context, folder string) (s suite, err error) {
	if s.folder, err = filepath.Abs(folder); err != nil {
		return s, err
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return s, err
	}
	before, _ := os.ReadFile(filepath.Join(s.folder, "package-lock.json"))
	_, missing := os.Stat(filepath.Join(s.folder, "node_modules", ".package-lock.json"))
	for name, text := range map[string][]byte{
		"package.json": packageFile, "package-lock.json": lockFile,
		"cases.mjs": casesScript, "loopback.cjs": loopbackScript,
	} {
		if err := os.WriteFile(filepath.Join(s.folder, name), text, 0o644); err != nil {
			return s, err
		}
	}
	if missing == nil && bytes.Equal(before, lockFile) {
		return s, nil
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = s.folder
	if out, err := npm.CombinedOutput(); err != nil {
		return s, fmt.Errorf("npm ci: %w: %s", err, bytes.TrimSpace(out))
	}
	return s, nil
}

// node makes a command that runs a script of the suite, with what npm would set.
func (s suite) node(ctx context.Context, environment []string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", append([]string{"--no-warnings"}, arguments...)...)
	cmd.Dir = filepath.Join(s.folder, "node_modules", "http-cache-tests")
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	return cmd
}

// startOrigin starts the suite's origin and returns its address.
func (s suite) startOrigin(ctx context.Context) (address string, stop func(), err error) {
	cmd := s.node(ctx, []string{
		"npm_config_protocol=http", "npm_config_port=0", "npm_config_pidfile=" + filepath.Join(s.folder, "origin.pid"),
	}, "--require", filepath.Join("..", "..", "loopback.cjs"), "server/server.mjs")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the origin: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, found := strings.Cut(lines.Text(), "Listening on http://"); found {
			go func() { // it must not block on what it prints
				for lines.Scan() {
				}
			}()
			return strings.TrimSuffix(url, "/"), stop, nil
		}
	}
	stop()
	return "", nil, errors.New("the origin ended before it listened")
}

// testCase is what the suite says of a case.
type testCase struct {
	ID    string   `json:"id"`
	Kind  string   `json:"kind"`  // required, optimal or check
	After []string `json:"after"` // cases that have to pass for this one to count
	Name  string   `json:"name"`

	Browser   bool `json:"browser"`   // for browsers alone: the suite's command line leaves it out
	Surrogate bool `json:"surrogate"` // about Surrogate-Control, which not every cache obeys
}

func (s suite) cases(ctx context.Context) ([]testCase, error) {
	var cases []testCase
	return cases, s.read(s.node(ctx, nil, filepath.Join("..", "..", "cases.mjs")), &cases)
}

// run has the suite's client run all cases against an address. A result is true,
// or what kind of problem there was and which.
func (s suite) run(ctx context.Context, address string) (map[string]any, error) {
	var results map[string]any
	return results, s.read(s.client(ctx, address, ""), &results)
}

// show runs one case and prints what the suite says about it.
func (s suite) show(ctx context.Context, address, id string) error {
	cmd := s.client(ctx, address, id)
	cmd.Stdout = os.Stdout
	return cmd.Run()
}

func (s suite) client(ctx context.Context, address, id string) *exec.Cmd {
	return s.node(ctx, []string{"npm_package_config_base=http://" + address, "npm_package_config_id=" + id}, "cli.mjs")
}

func (s suite) read(cmd *exec.Cmd, into any) error {
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Args[len(cmd.Args)-1], err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: %w in %.200s", cmd.Args[len(cmd.Args)-1], err, out)
	}
	return nil
}
