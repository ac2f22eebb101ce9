package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// badges has one policy establish who the client is, and another one tell it.
const badges = `[upstream.origin]
endpoints = ["ergo:echo"]
[policy.badge]
source = "badge.wasm"
grants = ["ergo_metric", "ergo_secret", "ergo_clock", "ergo_identify"]
secrets.token = "file:token"
[policy.greet]
source = "greet.wasm"
grants = ["ergo_identity"]
[edge]
[[edge.stage]]
name = "authenticate"
use = [{ policy = "badge" }]
[service]
upstream = "origin"
[[service.stage]]
name = "greet"
use = [{ policy = "greet" }]
`

// TestPoliciesKnowWhoTheClientIs has one policy of the edge tier establish who the
// client is, by a secret, and one of the service tier tell it, in one process and
// in two.
func TestPoliciesKnowWhoTheClientIs(t *testing.T) {
	s := prepare(t)
	for _, name := range []string{"badge", "greet"} {
		buildGuest(t, filepath.Join(s.folder, name+".wasm"), "./testdata/"+name)
	}
	const token = "correct horse battery staple"
	if err := os.WriteFile(filepath.Join(s.folder, "token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, edge := freeAddress(t), freeAddress(t)
	s.links[0] = freeAddress(t)
	for i, address := range []string{edge, edge, whole} {
		link := s.links[0]
		if i == 2 {
			link = freeAddress(t)
		}
		s.write(i, address, link, []string{"https://" + s.links[0]}, badges)
	}
	s.startHost(0)
	apart := start(t, s.binary, s.folder, "run", "--tier", "edge", "-c", s.manifest(1))
	together := start(t, s.binary, s.folder, "run", "-c", s.manifest(2))
	for i, address := range map[int]string{1: edge, 2: whole} {
		waitReady(t, over(s.socket(i)), "http://admin/readyz")
		for shown, want := range map[string]string{
			token: "200 alice by badge, group ADMIN, mail ALICE@EXAMPLE.COM", "wrong": "401 who are you?\n",
		} {
			if got := show(t, "http://"+address, shown); got != want {
				t.Errorf("host %d: got %q, want %q", i, got, want)
			}
		}
		metrics := text(t, over(s.socket(i)), "http://admin/metrics")
		for _, want := range []string{
			`(?m)^ergo_guest_counter_badge_passed_total\{name="badge.passed",policy="badge",version="[^"]+"\} 1$`,
			`(?m)^ergo_guest_histogram_took_ns_count\{policy="badge",version="[^"]+"\} 1$`,
			`(?m)^ergo_policy_ticks_total\{policy="badge",stage="authenticate",tier="edge",version="[^"]+"\} [1-9]`,
		} {
			if !regexp.MustCompile(want).MatchString(metrics) {
				t.Errorf("host %d: no %s in the metrics", i, want)
			}
		}
		for name, args := range map[string][]string{"TICKS": nil, `"ticks": ?[1-9]`: {"--json"}} {
			cmd := exec.Command(s.binary, append([]string{"status", "-c", s.manifest(i)}, args...)...)
			cmd.Dir = s.folder
			if out, err := cmd.CombinedOutput(); err != nil || !regexp.MustCompile(name).Match(out) {
				t.Errorf("host %d: ergo status %v tells no cost (%v):\n%s", i, args, err, out)
			}
		}
		for _, path := range []string{"/v1/status", "/v1/manifest", "/v1/history"} {
			if said := text(t, over(s.socket(i)), "http://admin"+path); strings.Contains(said, token) {
				t.Errorf("host %d: %s shows the secret", i, path)
			}
		}
	}
	for _, p := range []*process{apart, together} {
		p.stop()
		if n := strings.Count(p.log.String(), `"subject":"alice"`); n != 1 {
			t.Errorf("%d lines of the log name the subject, want 1", n)
		}
		if strings.Contains(p.log.String(), token) {
			t.Error("the log shows the secret")
		}
	}
	expectNowhere(t, s.folder, []byte(token))
}

// buildGuest compiles a policy in plain Go.
func buildGuest(t *testing.T, module, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", module, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// show asks with a token and returns status and body.
func show(t *testing.T, url, token string) string {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-token", token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func text(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: status %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}

// expectNowhere looks for a secret in everything that hosts have written.
func expectNowhere(t *testing.T, folder string, secret []byte) {
	t.Helper()
	for i := range 3 {
		err := filepath.WalkDir(filepath.Join(folder, fmt.Sprint("data", i)), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if bytes.Contains(content, secret) {
				t.Errorf("%s has the secret", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
