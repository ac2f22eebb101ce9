package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
)

func TestClientOverUnixSocket(t *testing.T) {
	host := &fakeHost{}
	s := serve(t, Options{Address: unixAddress(t), Host: host})
	c := connect(t, s)
	ctx := t.Context()

	status, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Tiers[0].Stages[0].Policies[0].Health.Stats.Instances; status.Generation.ID != 7 || got != 3 {
		t.Errorf("status: got generation %d, %d instances", status.Generation.ID, got)
	}
	records, err := c.History(ctx)
	if err != nil || len(records) != 1 || records[0].Cause != "start" {
		t.Errorf("history: got %v, %v", records, err)
	}
	change, err := c.Swap(ctx, SwapRequest{Path: "/etc/ergo/proxy.toml", Manifest: "version = 1"})
	if err != nil || change.To != 2 {
		t.Errorf("swap: got %v, %v", change, err)
	}
	if got, want := host.last(), `swap swap /etc/ergo/proxy.toml "version = 1"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := c.Rollback(ctx, 3); err != nil || host.last() != "rollback 3" {
		t.Errorf("rollback: got %s, %v", host.last(), err)
	}
}

func TestSocketIsItsOwnersAlone(t *testing.T) {
	address := unixAddress(t)
	path := strings.TrimPrefix(address, unixPrefix)
	s, err := Listen(Options{Address: address, Host: &fakeHost{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode: got %o, want 600", got)
	}
	if _, err := Listen(Options{Address: address, Host: &fakeHost{}}); err == nil {
		t.Error("a second host took the socket of one that serves")
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	address := unixAddress(t)
	path := strings.TrimPrefix(address, unixPrefix)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s := serve(t, Options{Address: address})
	if _, err := connect(t, s).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFileIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Options{Address: unixPrefix + path, Host: &fakeHost{}}); err == nil {
		t.Error("no error")
	}
	if text, err := os.ReadFile(path); string(text) != "text" {
		t.Errorf("the file is gone: %q, %v", text, err)
	}
}

func TestOpenAddressNeedsToken(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		if _, err := Listen(Options{Address: address, Host: &fakeHost{}}); !errors.Is(err, ErrOpenAddress) {
			t.Errorf("%s: got %v, want ErrOpenAddress", address, err)
		}
	}
	s := serve(t, Options{Address: "0.0.0.0:0", Token: manifest.NewSecret("t")})
	if resp, _ := send(t, s, "GET", "/v1/status", ""); resp.StatusCode != 401 {
		t.Errorf("without the token: got %d", resp.StatusCode)
	}
}

const jsonField = "application/json"

func TestGuard(t *testing.T) {
	metrics := http.NotFoundHandler()
	open := serve(t, Options{Address: "127.0.0.1:0", Metrics: metrics})
	locked := serve(t, Options{Address: "127.0.0.1:0", Token: manifest.NewSecret("s3cret"), Metrics: metrics})
	for _, c := range []struct {
		name         string
		server       *Server
		method, path string
		fields       []string
		want         int
	}{
		{"loopback", open, "GET", "/v1/status", nil, 200},
		{"loopback by name", open, "GET", "/v1/status", []string{"host", "localhost:9901"}, 200},
		{"loopback of version 6", open, "GET", "/v1/status", []string{"host", "[::1]:9901"}, 200},
		{"a name that points here", open, "GET", "/v1/status", []string{"host", "evil.example"}, 421},
		{"a name that begins like an address", open, "GET", "/v1/status", []string{"host", "127.0.0.1.evil.example:9901"}, 421},
		{"JSON", open, "POST", "/v1/rollback", []string{"content-type", jsonField}, 200},
		{"JSON with a character set", open, "POST", "/v1/rollback", []string{"content-type", jsonField + "; charset=utf-8"}, 200},
		{"a form", open, "POST", "/v1/rollback", []string{"content-type", "application/x-www-form-urlencoded"}, 415},
		{"text, which needs no preflight", open, "POST", "/v1/rollback", []string{"content-type", "text/plain"}, 415},
		{"no type", open, "POST", "/v1/rollback", nil, 415},
		{"JSON of another origin", open, "POST", "/v1/rollback", []string{"content-type", jsonField, "sec-fetch-site", "cross-site"}, 403},
		{"JSON of an old browser", open, "POST", "/v1/rollback", []string{"content-type", jsonField, "origin", "https://evil.example"}, 403},
		{"no token", locked, "GET", "/v1/status", nil, 401},
		{"no token for metrics", locked, "GET", "/metrics", nil, 401},
		{"another token", locked, "GET", "/v1/status", []string{"authorization", "Bearer s3cre"}, 401},
		{"another scheme", locked, "GET", "/v1/status", []string{"authorization", "Basic s3cret"}, 401},
		{"the token", locked, "GET", "/v1/status", []string{"authorization", "Bearer s3cret"}, 200},
		{"the token, spelled otherwise", locked, "GET", "/v1/status", []string{"authorization", "bearer s3cret"}, 200},
		{"the token by another name of the host", locked, "GET", "/v1/status", []string{"authorization", "Bearer s3cret", "host", "ergo.example"}, 200},
		{"the page needs none", locked, "GET", "/", nil, 200},
		{"health needs none", locked, "GET", "/healthz", nil, 200},
		{"readiness needs none", locked, "GET", "/readyz", nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := send(t, c.server, c.method, c.path, "", c.fields...)
			if resp.StatusCode != c.want {
				t.Errorf("got %d, want %d: %s", resp.StatusCode, c.want, body)
			}
			if c.want >= 400 && resp.Header.Get("content-type") != "application/problem+json" {
				t.Errorf("content type: got %s", resp.Header.Get("content-type"))
			}
		})
	}
}

func TestReadiness(t *testing.T) {
	host := &fakeHost{starting: true}
	s := serve(t, Options{Address: unixAddress(t), Host: host})
	check := func(wantStatus int, want string) {
		t.Helper()
		resp, body := send(t, s, "GET", "/readyz", "")
		if got := decode(t, body)["status"]; resp.StatusCode != wantStatus || got != want {
			t.Errorf("got %d %v, want %d %s", resp.StatusCode, got, wantStatus, want)
		}
		if resp, _ := send(t, s, "GET", "/healthz", ""); resp.StatusCode != 200 {
			t.Errorf("alive: got %d", resp.StatusCode)
		}
	}
	check(503, "starting")
	host.mu.Lock()
	host.starting = false
	host.mu.Unlock()
	check(200, "ok")
	s.Drain()
	check(503, "draining")
}

func TestRefusedSwapSaysAllThatIsWrong(t *testing.T) {
	problems := manifest.Problems{
		{File: "/p/proxy.toml", Line: 3, Column: 1, Path: "edge.stag", Wrong: "is unknown", Right: `did you mean "stage"?`},
		{File: "/p/proxy.toml", Line: 9, Column: 5, Path: "upstream.a", Wrong: "has no endpoints"},
	}
	host := &fakeHost{err: fmt.Errorf("build: %w", problems)}
	c := connect(t, serve(t, Options{Address: unixAddress(t), Host: host}))
	_, err := c.Swap(t.Context(), SwapRequest{})
	p := asProblem(t, err)
	if p.Status != 422 || len(p.Problems) != 2 || p.Problems[0].Line != 3 {
		t.Errorf("got %+v", p)
	}
	var back manifest.Problems
	if !errors.As(err, &back) || back.Error() != problems.Error() {
		t.Errorf("got %v, want %v", back, problems)
	}
}

func TestNoSuchGeneration(t *testing.T) {
	host := &fakeHost{err: fmt.Errorf("9 steps back: %w", engine.ErrNoGeneration)}
	c := connect(t, serve(t, Options{Address: unixAddress(t), Host: host}))
	_, err := c.Rollback(t.Context(), 9)
	if p := asProblem(t, err); p.Status != 409 || p.Error() == "" {
		t.Errorf("got %+v", p)
	}
	if _, err := c.Rollback(t.Context(), -1); asProblem(t, err).Status != 400 {
		t.Errorf("got %v", err)
	}
}

func TestBodies(t *testing.T) {
	host := &fakeHost{}
	s := serve(t, Options{Address: unixAddress(t), Host: host})
	for _, c := range []struct {
		name, path, kind, body string
		status                 int
		asked                  string
	}{
		{"nothing", "/v1/swap", jsonField, "", 200, `swap swap  ""`},
		{"a path", "/v1/check", jsonField, `{"path": "/a.toml"}`, 200, `check /a.toml ""`},
		{"TOML", "/v1/swap", typeTOML, "version = 1", 200, `swap swap  "version = 1"`},
		{"one step by default", "/v1/rollback", jsonField, "{}", 200, "rollback 1"},
		{"a relative path", "/v1/swap", jsonField, `{"path": "a.toml"}`, 400, ""},
		{"an unknown field", "/v1/swap", jsonField, `{"file": "/a.toml"}`, 400, ""},
		{"no JSON", "/v1/swap", jsonField, `version = 1`, 400, ""},
		{"too much JSON", "/v1/swap", jsonField, `{"path": "` + strings.Repeat("a", maxBodyBytes) + `"}`, 413, ""},
		{"too much TOML", "/v1/swap", typeTOML, strings.Repeat("#", maxBodyBytes+1), 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			host.asked = nil
			resp, body := send(t, s, "POST", c.path, c.body, "content-type", c.kind)
			if resp.StatusCode != c.status {
				t.Errorf("got %d, want %d: %s", resp.StatusCode, c.status, body)
			}
			if got := host.last(); got != c.asked {
				t.Errorf("asked: got %s, want %s", got, c.asked)
			}
		})
	}
}

func TestUnknownPathAndMethod(t *testing.T) {
	s := serve(t, Options{Address: unixAddress(t)})
	if resp, _ := send(t, s, "GET", "/v1/nothing", ""); resp.StatusCode != 404 {
		t.Errorf("got %d, want 404", resp.StatusCode)
	}
	resp, _ := send(t, s, "GET", "/v1/swap", "")
	if resp.StatusCode != 405 || resp.Header.Get("allow") != "POST" {
		t.Errorf("got %d, Allow %q", resp.StatusCode, resp.Header.Get("allow"))
	}
}

func TestManifestIsServedWithoutSecrets(t *testing.T) {
	text := `version = 1
[host]
admin_token = "s3cret-token"
[[listener]]
address = "127.0.0.1:0"
[upstream.origin]
endpoints = ["ergo:echo"]
[policy.api-key]
source = "policies/api-key"
[[edge.stage]]
name = "a"
[[edge.stage.use]]
policy = "api-key"
config = { keys = ["s3cret-key", "env:SHOWN"], nested = { deep = "s3cret-deep" }, ttl = 5, strict = true }
[service]
upstream = "origin"
`
	env := manifest.WithEnv(func(string) (string, bool) { return "s3cret-env", true })
	m, err := manifest.Parse(filepath.Join(t.TempDir(), "proxy.toml"), []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Address: unixAddress(t), Host: &fakeHost{m: m}})
	_, body := send(t, s, "GET", "/v1/manifest", "")
	if strings.Contains(body, "s3cret") {
		t.Errorf("a secret is served: %s", body)
	}
	for _, want := range []string{`"env:SHOWN"`, `"ttl": 5`, `"strict": true`, `"endpoints"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if resp, _ := send(t, serve(t, Options{Address: unixAddress(t)}), "GET", "/v1/manifest", ""); resp.StatusCode != 503 {
		t.Errorf("before the first generation: got %d", resp.StatusCode)
	}
}

func TestClientOfSomethingElse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}") // JSON, and yet no status
	})}
	go func() { _ = server.Serve(other) }()
	defer server.Close()
	c := NewClient(other.Addr().String(), "")
	defer c.Close()
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoHost) {
		t.Errorf("got %v", err)
	}
	gone := NewClient(unixAddress(t), "")
	if _, err := gone.Status(t.Context()); err == nil {
		t.Error("no error without a host")
	}
}

func TestDashboardIsServedWithItsParts(t *testing.T) {
	s := serve(t, Options{Address: "127.0.0.1:0", Token: manifest.NewSecret("t")})
	resp, page := send(t, s, "GET", "/", "")
	if got := resp.Header.Get("content-type"); resp.StatusCode != 200 || !strings.HasPrefix(got, "text/html") {
		t.Fatalf("got %d %s", resp.StatusCode, got)
	}
	if policy := resp.Header.Get("content-security-policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("content security policy: got %q", policy)
	}
	for file, kind := range map[string]string{"app.js": "text/javascript", "style.css": "text/css"} {
		if !strings.Contains(page, `"`+file+`"`) {
			t.Errorf("the page does not name %s", file)
		}
		resp, body := send(t, s, "GET", "/"+file, "")
		if got := resp.Header.Get("content-type"); resp.StatusCode != 200 || !strings.HasPrefix(got, kind) || body == "" {
			t.Errorf("%s: got %d %s", file, resp.StatusCode, got)
		}
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "onclick=") || strings.Contains(page, "style=") {
		t.Error("the page holds what its own policy forbids")
	}
}
