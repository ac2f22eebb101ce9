package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Those of AES-GCM are for nonces of 96 bits; XAES-256-GCM has vectors of its own.
func TestWycheproofAEAD(t *testing.T) {
	for file, algorithm := range map[string]string{
		"xchacha20_poly1305_test.json": "XChaCha20-Poly1305",
		"aes_siv_cmac_test.json":       "AES-256-SIV",
	} {
		checked := 0
		vectors(t, file, func(t *testing.T, _ *vectorGroup, v *vector) {
			if len(v.Key) != algorithms[algorithm].size || algorithm == "XChaCha20-Poly1305" && len(v.IV) != nonceBytes {
				return
			}
			checked++
			works, err := algorithms[algorithm].secret(algorithms[algorithm], v.Key)
			if err != nil {
				t.Fatal(err)
			}
			sealed := slices.Concat(v.IV, v.Ct, v.Tag)
			plaintext, err := works.(sealer).open(sealed, v.Aad)
			v.judge(t, file, err == nil)
			if err == nil && !bytes.Equal(plaintext, v.Msg) {
				t.Errorf("%s, test %d: got %x, want %x", file, v.ID, plaintext, v.Msg)
			}
			if d, ok := works.(deterministic); ok && v.Result == "valid" {
				if again, _ := d.seal(nil, v.Msg, v.Aad); !bytes.Equal(again, sealed) {
					t.Errorf("%s, test %d: sealed as %x, want %x", file, v.ID, again, sealed)
				}
			}
		})
		if checked < 100 {
			t.Errorf("%s: %d tests only are for %s", file, checked, algorithm)
		}
	}
}

func TestWycheproofHMAC(t *testing.T) {
	for file, algorithm := range map[string]string{
		"hmac_sha256_test.json": "HS256", "hmac_sha384_test.json": "HS384", "hmac_sha512_test.json": "HS512",
	} {
		vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
			a := algorithms[algorithm]
			if g.TagSize != 8*a.hash.Size() {
				return // JOSE has whole ones
			}
			works, _ := a.secret(a, v.Key)
			v.judge(t, file, works.(signer).verify(v.Msg, v.Tag) == nil)
		})
	}
}

func TestWycheproofSignatures(t *testing.T) {
	for file, algorithm := range map[string]string{
		"rsa_signature_2048_sha256_test.json":    "RS256",
		"rsa_signature_3072_sha384_test.json":    "RS384",
		"rsa_signature_4096_sha512_test.json":    "RS512",
		"rsa_signature_8192_sha512_test.json":    "RS512",
		"rsa_pss_2048_sha256_mgf1_32_test.json":  "PS256",
		"rsa_pss_2048_sha384_mgf1_48_test.json":  "PS384",
		"rsa_pss_4096_sha512_mgf1_64_test.json":  "PS512",
		"ecdsa_secp256r1_sha256_p1363_test.json": "ES256",
		"ecdsa_secp384r1_sha384_p1363_test.json": "ES384",
		"ecdsa_secp521r1_sha512_p1363_test.json": "ES512",
		"ed25519_test.json":                      "EdDSA",
	} {
		vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
			version, err := Parse(algorithm, "pem", "1", []byte(g.PublicKeyPem))
			if err != nil {
				if v.Result == "valid" {
					t.Errorf("%s, test %d: %v", file, v.ID, err)
				}
				return
			}
			v.judge(t, file, version.works.(signer).verify(v.Msg, v.Sig) == nil)
		})
	}
}

// Tokens are no matter of this package, so of these tests only those count whose
// headers say no more than alg and kid.
func TestWycheproofJWK(t *testing.T) {
	for _, file := range []string{"json_web_signature_test.json"} {
		checked := 0
		vectors(t, file, func(t *testing.T, g *vectorGroup, v *vector) {
			token, _ := v.Jws.(string)
			signed, header, signature, ok := splitToken(token)
			if !ok || len(g.Public) == 0 || header["crit"] != nil || header["b64"] != nil {
				return
			}
			checked++
			var p publics
			s, err := p.get([]byte(fmt.Sprint(header["alg"])), g.Public)
			if err == nil {
				err = s.verify([]byte(signed), signature)
			}
			if alg := strings.Contains(string(g.Public), "ES521"); alg && v.Result == "valid" {
				return // there is no such algorithm
			}
			if mixed := strings.Contains(string(g.Public), `"PS256"`) && header["alg"] == "PS384"; mixed {
				return // a key for one algorithm is not taken for another
			}
			v.judge(t, file, err == nil)
		})
		if checked < 100 {
			t.Errorf("%s: %d tests only", file, checked)
		}
	}
}

// splitToken takes a token apart as strictly as there is one form of it.
func splitToken(token string) (signed string, header map[string]any, signature []byte, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", nil, nil, false
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return "", nil, nil, false
		}
	}
	if json.Unmarshal(decoded[0], &header) != nil {
		return "", nil, nil, false
	}
	return parts[0] + "." + parts[1], header, decoded[2], true
}
