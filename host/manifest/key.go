package manifest

import "github.com/ergoproxy/ergo/host/keyring"

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
	// verify and unwrap what was made before. It may be left out if there is one.
	Primary string `toml:"primary"`
	// Versions by their ids, which policies write beside what they make. Each is a
	// reference, "env:NAME" or "file:path", that is read when the manifest is.
	Versions map[string]string `toml:"versions" required:"true"`

	// fingerprint tells a key from another of the same settings.
	fingerprint [32]byte
}

// KeyUse is what a policy may do with a key.
type KeyUse struct {
	Key string `toml:"key" required:"true"` // its name: [key.NAME]
	// Use is any of "seal", "open", "sign", "verify", "wrap" and "unwrap".
	Use []string `toml:"use" required:"true"`
}

// GrantedKeys returns the keys that a policy is granted, by the names that it knows
// them by. They are the manifest's: who keeps one beyond Close retains it.
func (m *Manifest) GrantedKeys(policy string) map[string]keyring.Granted {
	uses := m.Policies[policy].Keys
	if len(uses) == 0 {
		return nil
	}
	granted := make(map[string]keyring.Granted, len(uses))
	for name, use := range uses {
		granted[name] = keyring.Granted{Key: m.keys[use.Key], May: useSet(use.Use)}
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
