package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestMain lets the test binary stand in for ergo where a test needs a process.
func TestMain(m *testing.M) {
	if os.Getenv("ERGO_TEST_MAIN") != "" {
		os.Exit(Main(os.Args[1:], Streams{Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct{ hosttest.Buffer }

// line returns the first JSON line of that message, nil if there is none yet.
func (b *buffer) line(message string) map[string]any {
	for text := range strings.Lines(b.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			return line
		}
	}
	return nil
}

// manifestText is a host that marks requests with the value, and can be told
// more about [host].
func manifestText(t *testing.T, value, host string) string {
	t.Helper()
	return `version = 1
[host]
admin = "unix:admin.sock"
` + host + `
[[listener]]
name = "main"
address = "127.0.0.1:0"
[upstream.origin]
endpoints = ["ergo:echo"]
[policy.headers]
source = "headers"
[service]
upstream = "origin"
[[service.stage]]
name = "mark"
  [[service.stage.use]]
  policy = "headers"
  config.response.set = { x-mark = "` + value + `" }
`
}

// folder returns a folder with a manifest and a copy of the headers policy.
func folder(t *testing.T, text string) (manifest string) {
	t.Helper()
	dir := t.TempDir()
	copyPolicy(t, "headers", dir)
	manifest = filepath.Join(dir, "proxy.toml")
	writeFile(t, manifest, text)
	return manifest
}

// copyPolicy puts a shipped policy into a folder.
func copyPolicy(t *testing.T, policy, folder string) {
	t.Helper()
	for _, name := range []string{"policy.toml", "policy.wasm"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "policies", policy, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, policy, name), string(content))
	}
}

// running is a host in this process.
type running struct {
	t        *testing.T
	manifest string
	address  string
	out, err buffer
	stop     func() int // ends it and returns its exit status
}

func runHost(t *testing.T, manifest string, args ...string) *running {
	t.Helper()
	r := &running{t: t, manifest: manifest}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- Execute(ctx, append([]string{"run", "-c", manifest}, args...), Streams{&r.out, &r.err})
	}()
	r.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() {
		if status := r.stop(); status != exitDone || t.Failed() {
			t.Errorf("exit status %d; log:\n%s", status, r.err.String())
		}
	})
	hosttest.Eventually(t, func() bool { return r.err.line("admin API") != nil }, "the host starts:\n"+r.err.String())
	r.address, _ = r.err.line("listening")["address"].(string)
	return r
}

// mark returns what the host marks a response with.
func (r *running) mark() string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.address + "/path?secret=1")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.Header.Get("x-mark")
}

func (r *running) eventually(mark string) {
	r.t.Helper()
	hosttest.Eventually(r.t, func() bool { return r.mark() == mark }, "mark is "+mark)
}

// ergo runs a command to its end.
func ergo(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e buffer
	status = Execute(t.Context(), args, Streams{&o, &e})
	return status, o.String(), e.String()
}

// mustErgo runs a command that must be done.
func mustErgo(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := ergo(t, args...)
	if status != exitDone {
		t.Fatalf("ergo %v: exit status %d\n%s", args, status, errs)
	}
	return out
}

// save replaces a file as editors do.
func save(t *testing.T, path, text string) {
	t.Helper()
	writeFile(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startForTest starts a host without the command around it.
func startForTest(t *testing.T, manifest string, out Streams) *host {
	t.Helper()
	m, err := load(engine.Source{Path: manifest})
	if err != nil {
		t.Fatal(err)
	}
	h, err := startHost(t.Context(), manifest, m, engine.Both, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// replaceOnce replaces what must be there.
func replaceOnce(t *testing.T, text, was, is string) string {
	t.Helper()
	if !strings.Contains(text, was) {
		t.Fatalf("no %q in %q", was, text)
	}
	return strings.Replace(text, was, is, 1)
}

func hexadecimal(b []byte) string { return hex.EncodeToString(b) }
