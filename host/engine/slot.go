package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// slot is a loaded policy, shared by the generations that use it unchanged. Its
// instances and its quarantine live on through swaps.
type slot struct {
	*tier.Slot
	key string // empty: nobody else's
}

// slots are the loaded policies of all generations.
type slots struct{ shared[slot] }

// release drops one reference and closes the policy with the last one.
func (s *slots) release(ctx context.Context, kept *slot) error {
	if !s.drop(kept.key) {
		return nil
	}
	return kept.Close(ctx)
}

// slotKey names everything that a policy is made from: two uses with one key
// behave alike and can share what is loaded.
func slotKey(spec policy.Spec) string {
	h := sha256.New()
	identity := struct {
		Name, Digest string
		File         manifest.PolicyFile
		Config       []byte
		Settings     manifest.Policy
		Secrets      map[string][]byte // what Settings does not encode; need not be text
		Keys         map[string][sha256.Size]byte
	}{
		spec.Name, spec.Artifact.Digest, spec.Artifact.File, spec.Config, spec.Settings,
		map[string][]byte{}, map[string][sha256.Size]byte{},
	}
	for name, secret := range spec.Settings.Secrets {
		identity.Secrets[name] = []byte(secret.Reveal())
	}
	for name, granted := range spec.Keys {
		identity.Keys[name] = granted.Key.Fingerprint()
	}
	identity.Settings.Source = "" // where it came from is not what it is
	if err := json.NewEncoder(h).Encode(identity); err != nil {
		panic("engine: a policy's identity does not encode: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil))
}
