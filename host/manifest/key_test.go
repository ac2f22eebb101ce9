package manifest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/keyring"
)

// The tags of Key name the algorithms and encodings that there are.
func TestKeyTagsAreComplete(t *testing.T) {
	schema, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(keyring.Algorithms(), keyring.Encodings()...) {
		if !strings.Contains(string(schema), `"`+name+`"`) {
			t.Errorf("the manifest does not know %q", name)
		}
	}
}

const withKeys = `version = 1
listener = [{ address = ":8080" }]
upstream.origin.endpoints = ["ergo:echo"]
service.upstream = "origin"
key.orders = { algorithm = "AES-256-SIV", versions = { one = "env:KEY" } }
[policy.p]
source = "p"
grants = ["ergo_crypto"]
keys = { data = { key = "orders", use = ["seal"] } }
`

func parseWithKey(t *testing.T, key string) *Manifest {
	t.Helper()
	m, err := Parse("proxy.toml", []byte(withKeys), WithEnv(func(string) (string, bool) { return key, true }))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A policy is granted what the manifest says, and other material is another key
// although the manifest's text is the same.
func TestGrantedKeys(t *testing.T) {
	m := parseWithKey(t, sivKey)
	defer m.Close()
	granted := m.GrantedKeys("p", nil)["data"]
	if granted.May != keyring.Seal || granted.Key.Algorithm() != "AES-256-SIV" || len(m.GrantedKeys("p", nil)) != 1 {
		t.Errorf("granted %v of %v", keyring.UseNames(granted.May), granted.Key)
	}
	if got := m.GrantedKeys("other", nil); got != nil {
		t.Errorf("another policy is granted %v", got)
	}
	other := parseWithKey(t, "x"+sivKey[1:])
	defer other.Close()
	if other.GrantedKeys("p", nil)["data"].Key.Fingerprint() == granted.Key.Fingerprint() || other.Keys["orders"].fingerprint == m.Keys["orders"].fingerprint {
		t.Error("another key has the same fingerprint")
	}
	if !slices.Equal(m.Redacted(), other.Redacted()) {
		t.Error("a dump shows which key it is")
	}
}

// A key with a source is the caller's to get.
func TestGrantedSourcedKeys(t *testing.T) {
	text := strings.Replace(withKeys, `versions = { one = "env:KEY" }`, `source = { policy = "vault" }`, 1) + "[policy.vault]\nsource = \"vault\"\n"
	m, err := Parse("proxy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	version, err := keyring.Parse("AES-256-SIV", "base64", "v1", []byte(sivKey))
	if err != nil {
		t.Fatal(err)
	}
	key := keyring.NewKey("AES-256-SIV", version)
	defer key.Release()
	if got := m.GrantedKeys("p", map[string]*keyring.Key{"orders": key})["data"]; got.Key != key || got.May != keyring.Seal {
		t.Errorf("granted %v", got)
	}
	source := m.Keys["orders"].Source
	if source.Name != "orders" || source.Refresh.D() != 5*time.Minute || string(source.Use().ResolvedConfig()) != "{}" {
		t.Errorf("source is %+v", source)
	}
	for _, warning := range m.Warnings() {
		if warning.Path == "policy.vault" {
			t.Error(warning)
		}
	}
}
