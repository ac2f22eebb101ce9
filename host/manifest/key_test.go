package manifest

import (
	"slices"
	"strings"
	"testing"

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
	granted := m.GrantedKeys("p")["data"]
	if granted.May != keyring.Seal || granted.Key.Algorithm() != "AES-256-SIV" || len(m.GrantedKeys("p")) != 1 {
		t.Errorf("granted %v of %v", keyring.UseNames(granted.May), granted.Key)
	}
	if got := m.GrantedKeys("other"); got != nil {
		t.Errorf("another policy is granted %v", got)
	}
	other := parseWithKey(t, "x"+sivKey[1:])
	defer other.Close()
	if other.GrantedKeys("p")["data"].Key.Fingerprint() == granted.Key.Fingerprint() || other.Keys["orders"].fingerprint == m.Keys["orders"].fingerprint {
		t.Error("another key has the same fingerprint")
	}
	if !slices.Equal(m.Redacted(), other.Redacted()) {
		t.Error("a dump shows which key it is")
	}
}
