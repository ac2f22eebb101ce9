package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// host is the ergo command, running in this process.
type host struct {
	manifest string            // path
	addrs    map[string]string // by listener's name
	log      *buffer           // of the host itself
	access   *buffer           // of exchanges
	admin    *http.Client      // for URLs that begin with http://admin/
	stop     context.CancelFunc
	status   <-chan int // of the process, once it has ended
}

// settings come before every test's own manifest, after how long it may take to
// shut down. What a test leaves open at its end is an exchange cut off, and an
// exit status that fails the test.
const settings = `version = 1
host.admin = "unix:%s"
host.data = %q
host.log.format = "json"
host.shutdown_timeout = "%v"
`

// start runs a host until the test ends. The manifest goes on in the first,
// nameless table: host.NAME = VALUE adds settings.
func start(t testing.TB, manifest string) *host {
	t.Helper()
	h := launch(t, 10*time.Second, manifest)
	t.Cleanup(func() {
		h.stop()
		if status := <-h.status; status != 0 {
			t.Errorf("ergo run ended with status %d:\n%s", status, h.log.tail())
		}
	})
	return h
}

// launch is start for tests that stop the host themselves.
func launch(t testing.TB, shutdown time.Duration, manifest string) *host {
	t.Helper()
	folder := t.TempDir()
	h := &host{manifest: filepath.Join(folder, "proxy.toml"), addrs: map[string]string{}, log: new(buffer), access: new(buffer)}
	socket := socketPath(t)
	data := filepath.Join(folder, "data")
	modules.lend(t, filepath.Join(data, "cache"))
	write(t, h.manifest, fmt.Sprintf(settings, socket, data, shutdown)+manifest)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	h.admin = &http.Client{Transport: transport, Timeout: patience}

	ctx, cancel := context.WithCancel(context.Background())
	status := make(chan int, 1)
	h.stop, h.status = cancel, status
	go func() {
		status <- cli.Execute(ctx, []string{"run", "-c", h.manifest}, cli.Streams{Out: h.access, Err: h.log})
		close(status)
	}()
	h.await(t)
	modules.keep(t, filepath.Join(data, "cache"))
	return h
}

// socketPath is short enough for a unix socket, which t.TempDir may not be.
func socketPath(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "ergo-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return filepath.Join(folder, "admin.sock")
}

// starting is how long a host may take to start: under the race detector the
// compiler of modules takes its time.
const starting = 2 * time.Minute

// await waits until the host has said where it listens, which it does once it
// serves.
func (h *host) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(starting); !h.log.has(t, "admin API", nil); {
		select {
		case status := <-h.status:
			t.Fatalf("ergo run ended with status %d:\n%s", status, h.log.tail())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: the host serves:\n%s", starting, h.log.tail())
		}
	}
	for _, line := range h.log.lines(t) {
		if line["msg"] == "listening" {
			h.addrs[line["listener"].(string)] = line["address"].(string)
		}
	}
}

// get asks the admin API and decodes the answer into v, unless v is nil.
func (h *host) get(t testing.TB, path string, v any) string {
	t.Helper()
	resp, err := h.admin.Get("http://admin" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, text)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return string(text)
}

// inFlight is how many exchanges the running generation carries.
func (h *host) inFlight(t testing.TB) int64 {
	t.Helper()
	var status engine.Status
	h.get(t, "/v1/status", &status)
	return status.Generation.InFlight
}

// policy is the status of the only policy in a stage of the service tier.
func (h *host) policy(t testing.TB, stage string) engine.PolicyStatus {
	t.Helper()
	var status engine.Status
	h.get(t, "/v1/status", &status)
	for _, tier := range status.Tiers {
		for _, s := range tier.Stages {
			if tier.Name == "service" && s.Name == stage {
				return s.Policies[0]
			}
		}
	}
	t.Fatalf("there is no stage %s", stage)
	return engine.PolicyStatus{}
}

// linesWith are the lines of a text with all parts in them.
func linesWith(text string, parts ...string) string {
	var found strings.Builder
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			found.WriteString(line)
		}
	}
	return found.String()
}

func hasLine(text string, parts ...string) bool { return linesWith(text, parts...) != "" }

// buffer is a log that may be read while it is written.
type buffer struct{ hosttest.Buffer }

// tail is the end of the log, for a test that failed.
func (b *buffer) tail() string {
	s := b.String()
	return s[max(0, len(s)-4000):]
}

func (b *buffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range strings.Lines(b.String()) {
		var line map[string]any
		if strings.HasSuffix(text, "\n") && json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// has reports whether there is a line with that message and at least those
// attributes.
func (b *buffer) has(t testing.TB, message string, attributes map[string]any) bool {
	t.Helper()
	return slices.ContainsFunc(b.lines(t), func(line map[string]any) bool {
		got := maps.Clone(line)
		maps.DeleteFunc(got, func(k string, _ any) bool { _, asked := attributes[k]; return !asked })
		return line["msg"] == message && maps.Equal(got, attributes)
	})
}

// shipped is the folder of a policy that comes with the host.
func shipped(t testing.TB, name string) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("../../../policies", name))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// guest makes a policy of testdata/guest.wat that needs as much of both bodies
// as that, and returns its folder.
func guest(t testing.TB, need string) string {
	t.Helper()
	folder := t.TempDir()
	module, err := os.ReadFile("testdata/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "policy.wasm"), string(module))
	write(t, filepath.Join(folder, "policy.toml"), fmt.Sprintf(`name = "guest"
version = "1.0.0"
family = "transform"
summary = "Looks at everything"
license = "Apache-2.0"
abi = "http-wasm"
[needs]
request_body = %[1]q
response_body = %[1]q
`, need))
	return folder
}

// write replaces a file as a whole.
func write(t testing.TB, path, text string) {
	t.Helper()
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

// patience is how long anything may take that happens at all.
const patience = 20 * time.Second
