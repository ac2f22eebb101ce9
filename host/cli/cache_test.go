//go:build unix

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// cachingText is a host that stores what an origin answers in the folder named.
func cachingText(origin, admin, disk string) string {
	return `version = 1
[host]
admin = "unix:` + admin + `.sock"
[cache]
disk = "` + disk + `"
[[listener]]
name = "main"
address = "127.0.0.1:0"
[upstream.origin]
endpoints = ["` + origin + `"]
[policy.cache]
source = "cache"
grants = ["ergo_cache", "ergo_clock"]
[service]
upstream = "origin"
[[edge.stage]]
name = "cache"
  [[edge.stage.use]]
  policy = "cache"
`
}

// cachingFolder returns a folder with a copy of the policy cache, and an origin that
// counts how often it was asked.
func cachingFolder(t *testing.T) (folder, origin string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Cache-Tag", "pages")
		fmt.Fprintf(w, "answer %d", asked.Add(1))
	}))
	t.Cleanup(server.Close)
	folder = t.TempDir()
	copyPolicy(t, "cache", folder)
	return folder, server.URL, asked
}

// metrics returns what the host exports.
func (r *running) metrics() string {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(filepath.Dir(r.manifest), "admin.sock"))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://admin/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// get asks for a path of a site whose name is the same wherever the host listens.
func (r *running) get(path string) string {
	r.t.Helper()
	req, err := http.NewRequest("GET", "http://"+r.address+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = "site.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

func TestResponsesOutliveAKilledHost(t *testing.T) {
	folder, origin, asked := cachingFolder(t)
	manifest := filepath.Join(folder, "proxy.toml")
	writeFile(t, manifest, cachingText(origin, "admin", "responses"))
	first := runProcess(t, manifest)
	if got := first.get("/page"); got != "answer 1" {
		t.Fatalf("got %q", got)
	}
	hosttest.Eventually(t, func() bool {
		index, err := os.ReadFile(filepath.Join(folder, "responses", "index"))
		return err == nil && bytes.Contains(index, []byte("/page"))
	}, "the response is on disk")
	for _, want := range []string{
		`ergo_cache_entries{tier="disk"} 1`, `ergo_cache_stored_total 1`, `ergo_cache_disk_errors_total 0`,
		`ergo_cache_limit_bytes{tier="disk"} 1.073741824e+09`, `ergo_cache_waits_total{policy="cache"} 0`,
	} {
		if text := first.metrics(); !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.status()

	second := runProcess(t, manifest)
	if got := second.get("/page"); got != "answer 1" || asked.Load() != 1 {
		t.Errorf("got %q, and the origin was asked %d times", got, asked.Load())
	}
}

func TestOneHostHasACachesFolder(t *testing.T) {
	folder, origin, _ := cachingFolder(t)
	manifest, other := filepath.Join(folder, "proxy.toml"), filepath.Join(folder, "other.toml")
	writeFile(t, manifest, cachingText(origin, "admin", "responses"))
	writeFile(t, other, cachingText(origin, "other", "responses"))
	if mustErgo(t, "check", "-c", manifest); exists(filepath.Join(folder, "responses")) {
		t.Error("check has made the folder")
	}
	runHost(t, manifest)
	mustErgo(t, "check", "-c", other)
	status, _, errs := ergo(t, "run", "-c", other)
	if status != exitFailed || !strings.Contains(errs, "other.toml:5:1: cache.disk: ") || !strings.Contains(errs, "another process has it") {
		t.Errorf("got status %d and %q", status, errs)
	}
	writeFile(t, other, cachingText(origin, "other", "proxy.toml"))
	if status, _, errs = ergo(t, "run", "-c", other); status != exitFailed || !strings.Contains(errs, "cache.disk: ") {
		t.Errorf("a folder that is a file: got status %d and %q", status, errs)
	}
}

func TestAnotherCacheNeedsARestart(t *testing.T) {
	folder, origin, _ := cachingFolder(t)
	manifest := filepath.Join(folder, "proxy.toml")
	writeFile(t, manifest, cachingText(origin, "admin", "responses"))
	runHost(t, manifest)
	writeFile(t, manifest, cachingText(origin, "admin", "elsewhere"))
	if out := mustErgo(t, "swap", "-c", manifest); !strings.Contains(out, "cache") || exists(filepath.Join(folder, "elsewhere")) {
		t.Errorf("got %q", out)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
