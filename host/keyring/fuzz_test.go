package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"testing"
)

// FuzzParse reads material of any form for any algorithm. What is accepted works.
func FuzzParse(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ES256", "pem", pemOf(f, key))
	f.Add("RS256", "pem", []byte("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n"))
	f.Add("XAES-256-GCM", "jwk", []byte(`{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`))
	f.Add("EdDSA", "jwk", []byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	f.Add("HS256", "hex", []byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	f.Add("AES-256-SIV", "base64", []byte("aHVzaA=="))
	f.Fuzz(func(t *testing.T, algorithm, encoding string, material []byte) {
		before := slices.Clone(material)
		v, err := Parse(algorithm, encoding, "one", material)
		if !slices.Equal(before, material) {
			t.Error("the caller's material was changed")
		}
		if err != nil {
			return
		}
		k := NewKey(algorithm, v)
		g := NewGrant(map[string]Granted{"k": {k, k.Can()}}, NewGate())
		k.Release()
		defer g.Close()
		if k.Can()&Seal != 0 {
			sealed, err := g.Seal([]byte("k"), material, nil)
			if err != nil {
				t.Error(err)
			}
			if opened, err := g.Open([]byte("k"), sealed, nil); err != nil || !slices.Equal(opened, material) {
				t.Errorf("sealed and not opened: %v", err)
			}
		}
		if k.Can()&Sign != 0 {
			signature, err := g.Sign(soon(t), []byte("k"), material)
			if err != nil || g.Verify([]byte("k"), nil, material, signature) != nil {
				t.Errorf("signed and not verified: %v", err)
			}
		}
	})
}

// FuzzJWK reads public keys of any text, as guests show them.
func FuzzJWK(f *testing.F) {
	for _, text := range []string{
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		`{"kty":"EC","crv":"P-256","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY","y":"UI8exy-C06a7DUnjI"}`,
		`{"kty":"RSA","n":"AQ","e":"AQAB"}`, `{"kty":"RSA","kty":"EC"}`, `{"kty":"RSA","KTY":"EC"}`, `{} {}`, `[]`, `{"kty":1}`,
		`{"kty":"oct","k":"AA"}`, `{"key_ops":["verify"],"use":"sig"}`, ``,
	} {
		f.Add("RS256", []byte(text))
		f.Add("ES256", []byte(text))
		f.Add("EdDSA", []byte(text))
	}
	f.Fuzz(func(t *testing.T, algorithm string, text []byte) {
		var p publics
		s, err := p.get([]byte(algorithm), text)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v, %v", s, err)
		}
		if err == nil && s.verify(text, text) == nil {
			t.Error("a text signs itself")
		}
	})
}

// FuzzOpen opens anything.
func FuzzOpen(f *testing.F) {
	k := mustKey(f, "XAES-256-GCM", "one")
	g := NewGrant(map[string]Granted{"k": {k, k.Can()}}, NewGate())
	sealed, err := g.Seal([]byte("k"), []byte("text"), []byte("context"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, []byte("context"))
	f.Add(sealed[:6], []byte{})
	f.Add([]byte{1, 0}, []byte{})
	f.Add([]byte{1, 200, 'a'}, []byte{})
	f.Fuzz(func(t *testing.T, other, context []byte) {
		opened, err := g.Open([]byte("k"), other, context)
		// Each process of a fuzz run has sealed its own, with the same key.
		if err == nil && (string(context) != "context" || string(opened) != "text") {
			t.Errorf("opened %x with %q to %q", other, context, opened)
		}
	})
}
