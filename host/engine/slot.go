package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// slot is a loaded policy, shared by the generations that use it unchanged. Its
// instances and its quarantine live on through swaps.
type slot struct {
	*tier.Slot
	key  string
	refs int // guarded by slots.mu
}

// slots are the loaded policies of all generations, by what makes them differ.
type slots struct {
	mu    sync.Mutex
	byKey map[string]*slot
}

// take returns the slot of that key with one more reference, nil if there is
// none.
func (s *slots) take(key string) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byKey[key]
	if found != nil {
		found.refs++
	}
	return found
}

// put adds a slot with one reference. If the key is taken, the one there is
// returned with one more reference and surplus is true: the caller closes its own.
func (s *slots) put(key string, made *tier.Slot) (kept *slot, surplus bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there := s.byKey[key]; there != nil {
		there.refs++
		return there, true
	}
	if s.byKey == nil {
		s.byKey = map[string]*slot{}
	}
	kept = &slot{Slot: made, key: key, refs: 1}
	s.byKey[key] = kept
	return kept, false
}

// release drops one reference and closes the policy with the last one.
func (s *slots) release(ctx context.Context, kept *slot) error {
	s.mu.Lock()
	kept.refs--
	last := kept.refs == 0
	if last {
		delete(s.byKey, kept.key)
	}
	s.mu.Unlock()
	if !last {
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
