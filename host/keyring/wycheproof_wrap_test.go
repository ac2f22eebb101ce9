package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestWycheproofContent(t *testing.T) {
	for file, encs := range map[string][]string{
		"a128cbc_hs256_test.json": {"A128CBC-HS256"},
		"a192cbc_hs384_test.json": {"A192CBC-HS384"},
		"a256cbc_hs512_test.json": {"A256CBC-HS512"},
		"aes_gcm_test.json":       {"A128GCM", "A192GCM", "A256GCM"},
	} {
		checked := 0
		vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
			for _, enc := range encs {
				c := contents[enc]
				if len(v.Key) != c.keyBytes || len(v.IV) != c.nonceBytes || g.TagSize != 8*c.tagBytes {
					continue
				}
				checked++
				key := &ContentKey{c, [][]byte{v.Key}}
				plaintext, err := key.Decrypt(v.IV, v.Ct, v.Tag, v.Aad)
				v.judge(t, file, err == nil)
				if err == nil && !bytes.Equal(plaintext, v.Msg) {
					t.Errorf("%s, test %d: got %x, want %x", file, v.ID, plaintext, v.Msg)
				}
			}
		})
		if checked < 60 {
			t.Errorf("%s: %d tests only", file, checked)
		}
	}
}

func TestWycheproofKeyWrap(t *testing.T) {
	const file = "aes_wrap_test.json"
	checked := 0
	vectors(t, file, func(t *testing.T, _ *vectorGroup, v *vector) {
		c := content{keyBytes: len(v.Msg)}
		if v.Result == "invalid" {
			c.keyBytes = len(v.Ct) - 8
		}
		if c.keyBytes < 16 {
			return // no content key is so short
		}
		checked++
		works, err := newAESKW(nil, v.Key)
		if err != nil {
			t.Fatal(err)
		}
		key, err := works.(wrapper).unwrap(c, "", wrapped{encrypted: v.Ct})
		v.judge(t, file, err == nil)
		if err == nil && !bytes.Equal(key, v.Msg) {
			t.Errorf("%s, test %d: got %x, want %x", file, v.ID, key, v.Msg)
		}
	})
	if checked < 100 {
		t.Errorf("%d tests only", checked)
	}
}

// A key that could not be had is replaced by another, so what counts is whether it is
// the right one.
func TestWycheproofOAEP(t *testing.T) {
	for file, algorithm := range map[string]string{
		"rsa_oaep_2048_sha256_mgf1sha256_test.json": "RSA-OAEP-256",
		"rsa_oaep_2048_sha1_mgf1sha1_test.json":     "RSA-OAEP",
	} {
		vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
			if len(v.Label) > 0 || len(v.Msg) == 0 {
				return
			}
			version, err := Parse(algorithm, "pem", "1", []byte(g.PrivateKeyPem))
			if err != nil {
				t.Fatal(err)
			}
			key, err := version.works.(wrapper).unwrap(content{keyBytes: len(v.Msg)}, "", wrapped{encrypted: v.Ct})
			if err != nil {
				t.Errorf("%s, test %d: %v", file, v.ID, err)
			}
			v.judge(t, file, bytes.Equal(key, v.Msg))
		})
	}
}

func TestWycheproofAgreement(t *testing.T) {
	for _, file := range []string{
		"ecdh_secp256r1_webcrypto_test.json", "ecdh_secp384r1_webcrypto_test.json", "ecdh_secp521r1_webcrypto_test.json", "x25519_jwk_test.json",
	} {
		vectors(t, file, func(t *testing.T, _ *vectorGroup, v *vector) {
			version, err := Parse("ECDH-ES", "jwk", "1", v.Private)
			if err != nil {
				return // of the tests for X25519 some have keys that no JWK holds
			}
			k := version.works.(ecdhES)
			var shared []byte
			sender, err := k.sender(v.Public)
			if err == nil {
				shared, err = k.private.ECDH(sender)
			}
			if v.Result == "acceptable" {
				return
			}
			v.judge(t, file, err == nil && bytes.Equal(shared, v.Shared))
		})
	}
}

// The tokens of RFC 7516 and 7520 are among them. What is of tokens alone, such as a
// header that says nothing, is the matter of those who read them.
func TestWycheproofJWE(t *testing.T) {
	const file = "json_web_encryption_test.json"
	checked := 0
	vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
		token, _ := v.Jwe.(string)
		parts, header, ok := splitJWE(token)
		if !ok || header.Zip != "" {
			return
		}
		algorithm := header.Alg
		if algorithm == "dir" {
			algorithm = header.Enc
		}
		if UsesOf(algorithm) != wrapping {
			return
		}
		checked++
		version, err := Parse(algorithm, "jwk", "1", g.Private)
		var plaintext []byte
		if err == nil {
			grant := grantOf(t, map[string]*Key{"k": NewKey(algorithm, version)})
			var key *ContentKey
			key, err = grant.Unwrap(soon(t), []byte("k"), nil, []byte(header.Enc), parts[1], header.agreement())
			if err == nil {
				plaintext, err = key.Decrypt(parts[2], parts[3], parts[4], []byte(strings.SplitN(token, ".", 2)[0]))
				key.Wipe()
			}
		}
		v.judge(t, file, err == nil)
		if err == nil && !bytes.Equal(plaintext, v.Pt) {
			t.Errorf("%s, test %d: got %q, want %q", file, v.ID, plaintext, v.Pt)
		}
	})
	if checked < 50 {
		t.Errorf("%d tests only", checked)
	}
}

type jweHeader struct {
	Alg, Enc, Zip, Apu, Apv string
	Epk                     json.RawMessage
}

func (h jweHeader) agreement() Agreement {
	apu, _ := base64.RawURLEncoding.DecodeString(h.Apu)
	apv, _ := base64.RawURLEncoding.DecodeString(h.Apv)
	return Agreement{h.Epk, apu, apv}
}

func splitJWE(token string) (parts [5][]byte, header jweHeader, ok bool) {
	texts := strings.Split(token, ".")
	if len(texts) != 5 || slices.Contains([]string{texts[0], texts[2], texts[4]}, "") {
		return parts, header, false
	}
	for i, text := range texts {
		var err error
		if parts[i], err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
			return parts, header, false
		}
	}
	return parts, header, json.Unmarshal(parts[0], &header) == nil
}
