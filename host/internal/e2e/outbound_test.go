package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/ergoproxy/ergo/sdk/go"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// buildGuest compiles a policy in plain Go.
func buildGuest(t testing.TB, pkg string) (module string) {
	t.Helper()
	module = filepath.Join(t.TempDir(), "policy.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", module, pkg)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return module
}

// deciding is a manifest with the policy of testdata/decide in front of an
// upstream that decides itself, too.
const deciding = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"

[upstream.origin]
endpoints = [%[1]q]

[policy.decide]
source = %[2]q
%[3]s

[service]
upstream = "origin"

[[service.stage]]
name = "decide"
use = [{ policy = "decide" }]
`

// decider lets pass whoever asks for /allowed, and is the origin of what passes.
func decider(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/decide":
		if r.Header.Get("X-Target") != "/allowed" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		w.Header().Set("X-User", "ada")
		fmt.Fprintf(w, "%s of %s", body, r.Header.Get("X-Target"))
	default:
		io.WriteString(w, "hello "+r.Header.Get("X-User"))
	}
}

func TestPolicyAsksAnotherHost(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(decider))
	module := buildGuest(t, "./testdata/decide")
	h := start(t, fmt.Sprintf(deciding, backend.URL, module, fmt.Sprintf(`grants = ["ergo_http"]
limits.time = "20s"
[policy.decide.http]
hosts = [%q, "http://127.0.0.2:1", "http://169.254.169.254"]
upstreams = ["origin"]
internal = ["127.0.0.1/32"]`, backend.URL)))
	c := h.client(t, h1)
	for _, test := range []struct {
		name, ask, target string
		status            int
		body              string
	}{
		{"an origin says yes", backend.URL + "/decide", "/allowed", 200, "hello ada"},
		{"an origin says no", backend.URL + "/decide", "/secret", 403, "GET of /secret"},
		{"an upstream says yes", "upstream://origin/decide", "/allowed", 200, "hello ada"},
		{"an upstream says no", "upstream://origin/decide", "/secret", 403, "GET of /secret"},
		{"a host that is not granted", "http://example.com/", "/allowed", 503, sdk.ErrNotGranted.Error()},
		{"an upstream that is not granted", "upstream://other/", "/allowed", 503, sdk.ErrNotGranted.Error()},
		{"a loopback address that is not internal", "http://127.0.0.2:1/", "/allowed", 503, sdk.ErrAddress.Error()},
		{"the metadata address", "http://169.254.169.254/latest/meta-data", "/allowed", 503, sdk.ErrAddress.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := c.request(t, "GET", test.target, nil)
			r.Header.Set("X-Ask", test.ask)
			resp := c.do(t, r)
			if body := all(t, resp.Body); resp.StatusCode != test.status || body != test.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, test.status, test.body)
			}
		})
	}
	metrics := h.get(t, "/metrics", nil)
	for _, want := range []string{
		`ergo_outbound_calls_total{outcome="responded",policy="decide"} 4`,
		`ergo_outbound_calls_in_flight{policy="decide"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s:\n%s", want, linesWith(metrics, "ergo_outbound"))
		}
	}
}

// TestPolicyThatWasNotGrantedCalls has the manifest refused that does not say
// what may be called.
func TestPolicyThatWasNotGrantedCalls(t *testing.T) {
	module := buildGuest(t, "./testdata/decide")
	for granted, want := range map[string]string{
		"":                       `imports ergo_http.`,
		`grants = ["ergo_http"]`: `policy.decide.http: is missing beside the grant ergo_http`,
	} {
		path := filepath.Join(t.TempDir(), "proxy.toml")
		write(t, path, "version = 1\n"+fmt.Sprintf(deciding, "http://127.0.0.1:1", module, granted))
		var out bytes.Buffer
		status := cli.Execute(context.Background(), []string{"check", "-c", path}, cli.Streams{Out: &out, Err: &out})
		if status != 1 || !strings.Contains(out.String(), want) {
			t.Errorf("%q: got status %d and %q, want %q", granted, status, out.String(), want)
		}
	}
}

// TestGuestImportsOnlyWhatItCalls has a policy that calls nobody need no grant.
func TestGuestImportsOnlyWhatItCalls(t *testing.T) {
	for pkg, want := range map[string]bool{"./testdata/decide": true, "../../../policies/request-guard": false} {
		module, err := os.ReadFile(buildGuest(t, pkg))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(module, []byte("ergo_http")); got != want {
			t.Errorf("%s names ergo_http: %t, want %t", pkg, got, want)
		}
	}
}
