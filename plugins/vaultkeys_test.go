package plugins

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// openVault is a suite of vault-keys with what it is granted to reach a server.
func openVault(t *testing.T, v *vaultServer, secrets string) *cases.Suite {
	t.Helper()
	a, err := policy.LoadArtifact("vault-keys")
	if err != nil {
		t.Fatal(err)
	}
	return cases.Open(t, a, wasm.Options{}, fmt.Sprintf(
		"[policy.vault-keys.http]\nhosts = [%q]\nmethods = [\"GET\", \"POST\"]\ninternal = [\"127.0.0.0/8\"]\n[policy.vault-keys.secrets]\n%s\n", v.URL, secrets))
}

// passes takes a body to the store and back.
func passes(t *testing.T, alone *tier.Tier, target, text string) (stored string) {
	t.Helper()
	c := cases.Case{Request: cases.Request{Method: "PUT", Target: target, Body: text}}
	x, walk := c.Exchange(t), new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	if answered, f := alone.Request(walk, x); f != nil || answered {
		t.Fatalf("%v, answered %d %s", f, x.Response.Status, cases.Body(t, x.Response.Body))
	}
	stored = cases.Body(t, x.Request.Body)
	x.Route.Sent = true
	(&cases.Response{Body: stored}).Answer(x)
	alone.Response(walk, x)
	if got := cases.Body(t, x.Response.Body); x.Failure != nil || got != text {
		t.Fatalf("%v: what was %q came back as %d %q", x.Failure, text, x.Response.Status, got)
	}
	return stored
}

func transitConfig(v *vaultServer) map[string]any {
	return map[string]any{"address": v.URL, "transit": map[string]any{"key": "orders", "request": "encrypt", "response": "decrypt", "bind_path": true}}
}

// The store has ciphertext alone, which is of use at its own path alone.
func TestVaultTransit(t *testing.T) {
	v := serveVault(t)
	s := openVault(t, v, `token = "granted"`)
	alone := s.Alone(t, s.Load(t, "transit", transitConfig(v)))
	stored := passes(t, alone, "/orders/1", "a card's number")
	if !strings.HasPrefix(stored, "vault:v1:") || strings.Contains(stored, "card") {
		t.Errorf("stored %q", stored)
	}
	passes(t, alone, "/orders/1", strings.Repeat("large ", 100_000))
	part := "what is stored cannot be read now"
	for target, body := range map[string]string{"/orders/2": stored, "/orders/1": stored[:len(stored)-8] + "AAAAAA=="} {
		c := cases.Case{
			Request: cases.Request{Target: target}, Forward: &cases.RequestWanted{},
			Upstream: &cases.Response{Body: body}, Response: &cases.ResponseWanted{Status: 502, Body: &part},
		}
		c.Run(t, alone)
	}

	decrypts := s.Alone(t, s.Load(t, "decrypt", map[string]any{"address": v.URL, "transit": map[string]any{"key": "orders", "request": "decrypt"}}))
	refused := "the body is not encrypted as it has to be"
	c := cases.Case{Request: cases.Request{Method: "PUT", Body: stored}, Answer: &cases.ResponseWanted{Status: 400, Body: &refused}}
	c.Run(t, decrypts) // it is bound to a path
}

// A role logs in, again when its token is no longer taken, and renews what it has; a role that is not the
// manifest's does not.
func TestVaultRole(t *testing.T) {
	v := serveVault(t)
	v.lifetime = 2
	config := transitConfig(v)
	config["approle"] = map[string]any{"role_id": "proxy"}
	s := openVault(t, v, `secret_id = "granted"`)
	alone := s.Alone(t, s.Load(t, "role", config))
	passes(t, alone, "/a", "text")
	v.change(func() { clear(v.tokens) })
	passes(t, alone, "/a", "text")
	hosttest.Eventually(t, func() (renewed bool) {
		v.change(func() { renewed = v.renewals > 0 })
		return renewed
	}, "the token is renewed")

	stranger := openVault(t, v, `secret_id = "another"`)
	refused := "this cannot be encrypted now"
	c := cases.Case{Request: cases.Request{Method: "PUT", Body: "text"}, Answer: &cases.ResponseWanted{Status: 503, Body: &refused}}
	c.Run(t, stranger.Alone(t, stranger.Load(t, "stranger", config)))
}

// vaultedHost is a host whose key of orders comes from a server, and is used by field-crypt.
const vaultedHost = `version = 1
[host]
admin = "unix:admin.sock"
data = "data"
[[listener]]
address = %q
[upstream.store]
endpoints = [%q]
[key.orders]
algorithm = "XAES-256-GCM"
[key.orders.source]
policy = "vault-keys"
refresh = "1s"
config = { address = %q, kv = { prefix = "ergo/", settle = "1m" } }
[policy.vault-keys]
source = %q
grants = ["ergo_http", "ergo_secret"]
secrets = { token = "granted" }
http = { hosts = [%[3]q], internal = ["127.0.0.0/8"] }
[policy.field-crypt]
source = %[5]q
grants = ["ergo_crypto", "ergo_identity", "ergo_metric"]
keys = { orders = { key = "orders", use = ["seal", "open"] } }
[service]
upstream = "store"
[[service.stage]]
name = "encrypt"
[[service.stage.use]]
policy = "field-crypt"
config = { key = "orders", request = { encrypt = [{ path = "$.card", name = "card" }] }, response = { decrypt = [{ path = "$.card", name = "card" }] } }
`

// freshKey is a version of a key, created some time ago.
func freshKey(age time.Duration) kvVersion {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return kvVersion{key: base64.StdEncoding.EncodeToString(key), created: time.Now().Add(-age)}
}

// TestVaultKeys has a host encrypt with a key of the server, through its rotation, the server's absence, and a start
// without the server.
func TestVaultKeys(t *testing.T) {
	v := serveVault(t)
	v.versions = []kvVersion{freshKey(time.Hour)}
	var stored atomic.Pointer[string]
	store := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); len(body) > 0 {
			text := string(body)
			stored.Store(&text)
		}
		w.Header().Set("content-type", "application/json")
		io.WriteString(w, *stored.Load())
	}))
	folder := t.TempDir()
	binary := filepath.Join(folder, "ergo")
	if out, err := exec.Command("go", "build", "-o", binary, "../host/cmd/ergo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := hosttest.Serve(t, http.NotFoundHandler())
	address.Close()
	text := fmt.Sprintf(vaultedHost, address.Addr, store.URL, v.URL, absolute(t, "vault-keys"), absolute(t, "../policies/field-crypt"))
	if err := os.WriteFile(filepath.Join(folder, "proxy.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v.change(func() { v.sealed = true })
	check := exec.Command(binary, "check", "-c", "proxy.toml")
	check.Dir = folder
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), "key.orders.source: the key cannot be had: the server answers 503") {
		t.Errorf("with a sealed server: %v %s", err, out)
	}
	v.change(func() { v.sealed = false })

	host := exec.Command(binary, "run", "-c", "proxy.toml")
	host.Dir, host.Stdout, host.Stderr = folder, t.Output(), t.Output()
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = host.Process.Kill()
		_ = host.Wait()
	}()
	// send returns the version that a field was encrypted with, "" if that did not work.
	send := func() string {
		resp, err := http.Post("http://"+address.Addr+"/", "application/json", strings.NewReader(`{"card": "1234"}`))
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		var back, there struct{ Card string }
		if err := json.NewDecoder(resp.Body).Decode(&back); err != nil || back.Card != "1234" {
			return ""
		}
		if err := json.Unmarshal([]byte(*stored.Load()), &there); err != nil {
			return ""
		}
		parts := strings.SplitN(there.Card, ":", 3)
		if len(parts) != 3 || parts[0] != "efc1" {
			t.Errorf("stored %q", there.Card)
			return ""
		}
		return parts[1]
	}
	hosttest.Eventually(t, func() bool { return send() == "v1" }, "it encrypts with the first version")
	v.change(func() { v.versions = append(v.versions, freshKey(time.Second)) })
	before := *stored.Load()
	hosttest.Eventually(t, func() bool { return generations(t, binary, folder) > 1 }, "the new version is known")
	if got := send(); got != "v1" {
		t.Errorf("a version that others may not know yet encrypts: %s", got)
	}
	v.change(func() { v.versions[1].created = time.Now().Add(-time.Hour) })
	hosttest.Eventually(t, func() bool { return send() == "v2" }, "the new version encrypts")
	stored.Store(&before)
	resp, err := http.Get("http://" + address.Addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(body), "1234") {
		t.Errorf("what the first version encrypted is %s", body)
	}
	v.change(func() { v.sealed = true })
	for range 20 {
		if got := send(); got != "v2" {
			t.Fatalf("without the server it encrypts with %q", got)
		}
	}
}

// generations counts those that the host's history tells of.
func generations(t *testing.T, binary, folder string) int {
	t.Helper()
	command := exec.Command(binary, "history", "--json", "-c", "proxy.toml")
	command.Dir = folder
	out, err := command.Output()
	if err != nil {
		return 0
	}
	return strings.Count(string(out), `"cause"`)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
