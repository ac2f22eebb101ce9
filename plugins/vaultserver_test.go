package plugins

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// vaultServer answers as the HTTP API of Vault and OpenBao is documented: tokens, AppRole, KV in its version 2, and
// transit with one key. It stands in for a real server, which no package that builds in an acceptable time carries.
type vaultServer struct {
	*hosttest.Backend
	mux  http.ServeMux
	aead cipher.AEAD

	mu       sync.Mutex
	tokens   map[string]bool
	logins   int
	renewals int
	lifetime int // of tokens, in seconds
	versions []kvVersion
	sealed   bool
}

type kvVersion struct {
	key     string
	created time.Time
	deleted bool
}

// serveVault starts a server that takes "granted" as a token.
func serveVault(t testing.TB) *vaultServer {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	v := &vaultServer{tokens: map[string]bool{"granted": true}, lifetime: 3600}
	if v.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		t.Fatal(err)
	}
	for pattern, answer := range map[string]func(*http.Request, map[string]string) any{
		"GET /v1/auth/token/lookup-self":      v.lookUp,
		"POST /v1/auth/token/renew-self":      v.renew,
		"GET /v1/secret/metadata/ergo/orders": v.metadata,
		"GET /v1/secret/data/ergo/orders":     v.data,
		"POST /v1/transit/encrypt/orders":     v.encrypt,
		"POST /v1/transit/decrypt/orders":     v.decrypt,
	} {
		v.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("x-vault-request") != "true" || !v.tokens[r.Header.Get("x-vault-token")] {
				fail(w, 403, "permission denied")
				return
			}
			v.say(w, r, answer)
		})
	}
	v.mux.HandleFunc("POST /v1/auth/approle/login", func(w http.ResponseWriter, r *http.Request) { v.say(w, r, v.logIn) })
	v.Backend = hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.sealed {
			fail(w, 503, "Vault is sealed")
			return
		}
		v.mux.ServeHTTP(w, r)
	}))
	return v
}

// change changes what the server has.
func (v *vaultServer) change(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

func fail(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[%q]}`, text)
}

// say answers with what is made of a request, in what all answers have around it; nil: it is bad.
func (v *vaultServer) say(w http.ResponseWriter, r *http.Request, answer func(*http.Request, map[string]string) any) {
	body := map[string]string{}
	if r.Method == "POST" {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			fail(w, 400, "failed to parse JSON input")
			return
		}
	}
	said := map[string]any{
		"request_id": "fc1d4d3a-4ba1-6d3c-4d1c-f9c7e4a5b1a2", "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": nil, "wrap_info": nil, "warnings": nil, "auth": nil,
	}
	part := "data"
	if strings.HasPrefix(r.URL.Path, "/v1/auth/") && r.Method == "POST" {
		part = "auth"
	}
	if said[part] = answer(r, body); said[part] == nil {
		fail(w, 400, "invalid request")
		return
	}
	_ = json.NewEncoder(w).Encode(said)
}

func (v *vaultServer) auth(token string) any {
	return map[string]any{
		"client_token": token, "accessor": "0e9e354a-520f-df04-6867-ee81cae3d42d", "policies": []string{"default", "ergo"},
		"metadata": nil, "lease_duration": v.lifetime, "renewable": true,
	}
}

func (v *vaultServer) logIn(_ *http.Request, body map[string]string) any {
	if body["role_id"] != "proxy" || body["secret_id"] != "granted" {
		return nil
	}
	v.logins++
	token := fmt.Sprint("hvs.", v.logins)
	v.tokens[token] = true
	return v.auth(token)
}

func (v *vaultServer) renew(r *http.Request, _ map[string]string) any {
	v.renewals++
	return v.auth(r.Header.Get("x-vault-token"))
}

func (v *vaultServer) lookUp(*http.Request, map[string]string) any {
	return map[string]any{"ttl": v.lifetime, "renewable": true, "type": "service", "orphan": false}
}

func (v *vaultServer) metadata(*http.Request, map[string]string) any {
	versions := map[string]any{}
	for i, one := range v.versions {
		deleted := ""
		if one.deleted {
			deleted = one.created.Add(time.Hour).Format(time.RFC3339Nano)
		}
		versions[fmt.Sprint(i+1)] = map[string]any{"created_time": one.created.Format(time.RFC3339Nano), "deletion_time": deleted, "destroyed": false}
	}
	return map[string]any{
		"cas_required": false, "current_version": len(v.versions), "max_versions": 0, "oldest_version": 0,
		"custom_metadata": nil, "delete_version_after": "0s", "versions": versions,
	}
}

func (v *vaultServer) data(r *http.Request, _ map[string]string) any {
	for i, one := range v.versions {
		if fmt.Sprint(i+1) == r.URL.Query().Get("version") {
			return map[string]any{"data": map[string]string{"key": one.key}, "metadata": map[string]any{"version": i + 1, "destroyed": false}}
		}
	}
	return nil
}

func (v *vaultServer) encrypt(_ *http.Request, body map[string]string) any {
	plaintext, err := base64.StdEncoding.DecodeString(body["plaintext"])
	if err != nil {
		return nil
	}
	sealed := v.aead.Seal(nil, nil, plaintext, []byte(body["associated_data"]))
	return map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed), "key_version": 1}
}

func (v *vaultServer) decrypt(_ *http.Request, body map[string]string) any {
	text, _ := strings.CutPrefix(body["ciphertext"], "vault:v1:")
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	plaintext, err := v.aead.Open(nil, nil, sealed, []byte(body["associated_data"]))
	if err != nil {
		return nil
	}
	return map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext)}
}
