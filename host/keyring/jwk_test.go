package keyring

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// modulus is base64url of an odd number of so many bits.
func modulus(bits uint) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return base64.RawURLEncoding.EncodeToString(n.SetBit(n, 0, 1).Bytes())
}

// What a guest shows for a public key and is none, or weak, or for something else.
func TestPublicKeysAreStrict(t *testing.T) {
	const (
		ed   = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
		seed = `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`
	)
	rsaOf := func(bits uint, e string) string {
		return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q}`, modulus(bits), e)
	}
	for _, c := range []struct {
		algorithm, text string
		want            error
	}{
		{"EdDSA", `{` + ed + `}`, nil},
		{"Ed25519", ` {` + ed + `,"alg":"EdDSA","use":"sig","key_ops":["verify"],"kid":"a","x5c":["a"],"n":"AA"} `, nil},
		{"EdDSA", `{` + ed + `,"alg":"ES256"}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"use":"enc"}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"key_ops":["sign"]}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"key_ops":[]}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"key_ops":"verify"}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,` + seed + `}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"kty":"OKP"}`, ErrMalformed},
		{"EdDSA", `{` + ed + `,"alg":null}`, ErrMalformed},
		{"EdDSA", `{` + ed + `}x`, ErrMalformed},
		{"EdDSA", `[{` + ed + `}]`, ErrMalformed},
		{"EdDSA", `{` + strings.Replace(ed, "kty", "KTY", 1) + `}`, ErrMalformed},
		{"EdDSA", `{` + strings.Replace(ed, "HURo", "HURp", 1) + `}`, ErrMalformed}, // bits that no byte has
		{"EdDSA", `{` + strings.Replace(ed, "HURo", "HURo=", 1) + `}`, ErrMalformed},
		{"EdDSA", `{"a":1` + strings.Repeat(`,"b":2`, 9) + `}`, ErrMalformed},
		{"RS256", `{` + ed + `}`, ErrMalformed},
		{"HS256", `{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`, ErrMalformed},
		{"XAES-256-GCM", `{` + ed + `}`, ErrMalformed},
		{"RS256", rsaOf(2048, "AQAB"), nil},
		{"PS512", rsaOf(8192, "Aw"), nil},
		{"RS256", rsaOf(2047, "AQAB"), ErrMalformed},
		{"RS256", rsaOf(8193, "AQAB"), ErrMalformed},
		{"RS256", rsaOf(2048, "AQ"), ErrMalformed},
		{"RS256", rsaOf(2048, "AQAA"), ErrMalformed},
		{"RS256", rsaOf(2048, "AQAAAAE"), ErrMalformed},
		{"RS256", rsaOf(2048, ""), ErrMalformed},
		{"RS256", `{"kty":"RSA","n":"","e":"AQAB"}`, ErrMalformed},
		{"ES256", `{"kty":"EC","crv":"P-256","x":"` + modulus(256) + `","y":"` + modulus(256) + `"}`, ErrMalformed}, // off the curve
		{"ES256", strings.Repeat(" ", MaxJWKBytes+1), ErrTooLarge},
	} {
		var p publics
		_, err := p.get([]byte(c.algorithm), []byte(c.text))
		is(t, c.algorithm+" "+c.text, err, c.want)
	}
}

// Public keys are parsed once, and the room for them is bounded.
func TestPublicKeysAreBounded(t *testing.T) {
	var p publics
	for i := range 2 * maxPublics {
		text := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"%d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, i)
		if _, err := p.get([]byte("EdDSA"), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.kept) != maxPublics {
		t.Errorf("%d are kept, want %d", len(p.kept), maxPublics)
	}
}
