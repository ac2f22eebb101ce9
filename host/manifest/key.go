package manifest

import (
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// Key is a key that the host uses for policies, which never see it: one algorithm,
// and versions of its material.
type Key struct {
	// Algorithm says what the key is for. Seal and open: "XAES-256-GCM",
	// "XChaCha20-Poly1305", "AES-256-SIV" (deterministic). Sign and verify: "HS256",
	// "RS256", "PS256", "ES256" and so on to 512, "EdDSA". Wrap and unwrap content keys:
	// "A256KW", "RSA-OAEP-256", "ECDH-ES" and so on, and those for content itself, such as
	// "A256GCM", which are then used directly.
	Algorithm string `toml:"algorithm" required:"true" enum:"XAES-256-GCM XChaCha20-Poly1305 AES-256-SIV HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 A128KW A192KW A256KW RSA-OAEP RSA-OAEP-256 ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW A128GCM A192GCM A256GCM A128CBC-HS256 A192CBC-HS384 A256CBC-HS512"`
	// Encoding of all versions: "base64", "hex", "raw", "pem" or "jwk". Symmetric keys
	// are base64 and pairs pem where it is left out.
	Encoding string `toml:"encoding" enum:"base64 hex raw pem jwk"`
	// Primary is the id of the version that seals, signs and wraps; the others open,
	// verify and unwrap what was made before. It may be left out if there is one, and
	// is left out with a source.
	Primary string `toml:"primary"`
	// Versions by their ids, which policies write beside what they make. Each is a
	// reference, "env:NAME" or "file:path", that is read when the manifest is.
	Versions map[string]string `toml:"versions"`
	// Source is asked for the versions in place of these.
	Source *KeySource `toml:"source"`

	// fingerprint tells a key from another of the same settings.
	fingerprint [32]byte
}

// KeySource is a plugin that knows a key: a policy which need not be in a stage. Its
// processes are started for it, as for a use.
type KeySource struct {
	Policy string         `toml:"policy" required:"true"` // its name: [policy.NAME]
	Config map[string]any `toml:"config"`                 // as that of a use
	// Name of the key, as the source knows it; absent: that in the manifest.
	Name string `toml:"name"`
	// Refresh is how often the source is asked; default 5m. If it can't be, what it said
	// last holds, and it is asked again sooner.
	Refresh Duration `toml:"refresh" default:"5m" min:"1s"`
	Timeout Duration `toml:"timeout" default:"10s" min:"10ms"` // of asking it; default 10s

	resolved *resolvedConfig
}

// Use returns the source as a use of its policy.
func (s *KeySource) Use() *Use { return &Use{Policy: s.Policy, Config: s.Config, resolved: s.resolved} }

// KeySourcePath returns the path of a key's source.
func KeySourcePath(key string) string { return place.Key(place.Key("key", key), "source") }

// KeyUse is what a policy may do with a key.
type KeyUse struct {
	Key string `toml:"key" required:"true"` // its name: [key.NAME]
	// Use is any of "seal", "open", "sign", "verify", "wrap" and "unwrap".
	Use []string `toml:"use" required:"true"`
}

// GrantedKeys returns the keys that a policy is granted, by the names that it knows
// them by. Those with a source are taken from sourced, by the manifest's names. They are
// the manifest's and the caller's: who keeps one beyond Close retains it.
func (m *Manifest) GrantedKeys(policy string, sourced map[string]*keyring.Key) map[string]keyring.Granted {
	uses := m.Policies[policy].Keys
	if len(uses) == 0 {
		return nil
	}
	granted := make(map[string]keyring.Granted, len(uses))
	for name, use := range uses {
		key := m.keys[use.Key]
		if key == nil {
			key = sourced[use.Key]
		}
		granted[name] = keyring.Granted{Key: key, May: useSet(use.Use)}
	}
	return granted
}

func useSet(names []string) (set keyring.Use) {
	for _, name := range names {
		use, _ := keyring.ParseUse(name)
		set |= use
	}
	return set
}

// Close lets go of the keys that the manifest has read: those that nobody else
// retains are zeroed. It is called once; GrantedKeys is not called any more.
func (m *Manifest) Close() {
	for _, key := range m.keys {
		key.Release()
	}
}
