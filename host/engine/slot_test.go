package engine

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// A policy is loaded anew when a secret of its has another value, although the
// manifest says the same; and nothing that names it shows the value.
func TestSlotKeyTellsSecretsApart(t *testing.T) {
	key := func(secrets map[string]string) string {
		spec := policy.Spec{Name: "p", Artifact: &policy.Artifact{Digest: "sha256:0"}}
		spec.Settings.Secrets = map[string]manifest.Secret{}
		for name, value := range secrets {
			spec.Settings.Secrets[name] = manifest.NewSecret(value)
		}
		return slotKey(spec)
	}
	const value = "correct horse"
	first := key(map[string]string{"a": value, "b": "x"})
	if again := key(map[string]string{"b": "x", "a": value}); again != first {
		t.Errorf("the same secrets are %s and %s", first, again)
	}
	for _, other := range []map[string]string{{"a": "battery staple", "b": "x"}, {"a": "x", "b": value}, {"a": value}, {"a": value, "c": "x"}, nil} {
		if key(other) == first {
			t.Errorf("%d other secrets have the same key", len(other))
		}
	}
	if key(map[string]string{"a": "\xff\x01"}) == key(map[string]string{"a": "\xfe\x01"}) {
		t.Error("secrets that are no text have the same key")
	}
	if strings.Contains(first, value) {
		t.Errorf("the key shows a secret: %s", first)
	}
}
