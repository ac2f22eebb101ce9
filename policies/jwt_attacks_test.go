package policies

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// jwtAttacks are the tokens of attacks.md by the names of the attacks.
func jwtAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	attacks := map[string][]string{}
	for _, family := range []func(testing.TB, *jwtKeys) map[string][]string{
		algorithmAttacks, keyAttacks, signatureAttacks, shapeAttacks, headerAttacks, claimAttacks,
	} {
		for name, tokens := range family(t, k) {
			attacks[name] = tokens
		}
	}
	return attacks
}

const rsHeader = `{"alg":"RS256","kid":"rsa"}`

// headers are good tokens but for their headers.
func headers(t testing.TB, key any, list ...string) (tokens []string) {
	for _, header := range list {
		tokens = append(tokens, raw(t, key, header, jwtClaims(jwtIssuer, "")))
	}
	return tokens
}

// claims are good tokens but for their claims.
func claims(t testing.TB, k *jwtKeys, list ...string) (tokens []string) {
	for _, claims := range list {
		tokens = append(tokens, raw(t, k.rsa, rsHeader, claims))
	}
	return tokens
}

func algorithmAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	der, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: k.rsa.Public(), KeyID: "rsa"})
	if err != nil {
		t.Fatal(err)
	}
	var none []string
	for _, name := range []string{"none", "None", "NONE", "nOnE", "", "null"} {
		unsigned := b64(fmt.Sprintf(`{"alg":%q,"kid":"rsa"}`, name)) + "." + b64(jwtClaims(jwtIssuer, "")) + "."
		none = append(none, unsigned, unsigned+"AA", strings.TrimSuffix(unsigned, "."))
	}
	var confused []string
	for _, secret := range [][]byte{
		der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), jwk, k.rsa.N.Bytes(), {}, {0},
		pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)}),
	} {
		confused = append(confused, headers(t, secret, `{"alg":"HS256","kid":"rsa"}`, `{"alg":"HS256"}`)...)
		confused = append(confused, raw(t, secret, `{"alg":"HS256"}`, jwtClaims("HS256", "")))
	}
	es := k.ec[jose.ES256]
	return map[string][]string{
		"none":                none,
		"algorithm confusion": confused,
		"algorithm of another key": append(headers(t, k.rsa, `{"alg":"PS256","kid":"rsa"}`, `{"alg":"RS512","kid":"rsa"}`,
			`{"alg":"RS256","kid":"ES256"}`, `{"alg":"RS256","kid":"ed"}`),
			headers(t, es, `{"alg":"ES384","kid":"ES256"}`, `{"alg":"EdDSA","kid":"ES256"}`, `{"alg":"ES256","kid":"rsa"}`,
				`{"alg":"ES256","kid":"ES384"}`)...),
		"algorithm of another issuer": {
			raw(t, k.hmac, `{"alg":"HS256"}`, jwtClaims(jwtIssuer, "")), k.sign(t, jose.HS256, jwtClaims("HS512", "")),
			raw(t, k.rsa, rsHeader, jwtClaims("HS256", "")),
		},
		"names that resemble algorithms": headers(t, k.rsa, `{"alg":"rs256","kid":"rsa"}`, `{"alg":"RS256 ","kid":"rsa"}`,
			`{"alg":"RS256\u0000","kid":"rsa"}`, `{"alg":["RS256"],"kid":"rsa"}`, `{"alg":256,"kid":"rsa"}`, `{"alg":null,"kid":"rsa"}`,
			`{"alg":"RS1","kid":"rsa"}`, `{"kid":"rsa"}`, `{"ALG":"RS256","kid":"rsa"}`),
	}
}

func keyAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	own := newEC(t)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: own.Public(), KeyID: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("rsa", 1000)
	return map[string][]string{
		"keys from the token": headers(t, own, fmt.Sprintf(`{"alg":"ES256","kid":"ES256","jwk":%s}`, jwk), fmt.Sprintf(`{"alg":"ES256","jwk":%s}`, jwk),
			`{"alg":"ES256","jku":"https://evil.example/jwks"}`, `{"alg":"ES256","kid":"ES256","x5u":"https://evil.example/x"}`,
			`{"alg":"ES256","x5c":["MIIB"]}`, `{"alg":"ES256","kid":"https://evil.example/jwks"}`),
		"key ids that lead elsewhere": append(headers(t, []byte{}, `{"alg":"HS256","kid":"../../../../dev/null"}`, `{"alg":"HS256","kid":"/dev/null"}`,
			`{"alg":"HS256","kid":"x' UNION SELECT 'secret'--"}`, `{"alg":"HS256","kid":"|/bin/true"}`),
			headers(t, k.rsa, `{"alg":"RS256","kid":"rsa' OR '1'='1"}`, `{"alg":"RS256","kid":"./rsa"}`, `{"alg":"RS256","kid":"rsa\u0000"}`,
				`{"alg":"RS256","kid":"RSA"}`, `{"alg":"RS256","kid":"*"}`, `{"alg":"RS256","kid":""}`)...),
		"key ids of other kinds": headers(t, k.rsa, `{"alg":"RS256","kid":1}`, `{"alg":"RS256","kid":["rsa"]}`, `{"alg":"RS256","kid":{"a":"rsa"}}`,
			`{"alg":"RS256","kid":null}`, `{"alg":"RS256","kid":"`+long+`"}`),
		"two key ids":             headers(t, k.rsa, `{"alg":"RS256","kid":"rsa","kid":"ed"}`, `{"alg":"RS256","kid":"ed","kid":"rsa"}`, `{"alg":"RS256","kid":"rsa","k\u0069d":"rsa"}`),
		"keys for something else": headers(t, k.rsa, `{"alg":"RS256","kid":"rsa-enc"}`, `{"alg":"RS256","kid":"rsa-512"}`),
		"weak keys":               headers(t, k.weak, `{"alg":"RS256","kid":"weak"}`, `{"alg":"RS256"}`),
		"keys of somebody else":   append(headers(t, own, `{"alg":"ES256","kid":"ES256"}`, `{"alg":"ES256"}`), headers(t, []byte("other"), `{"alg":"HS256"}`)...),
	}
}

func signatureAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	start := b64(`{"alg":"ES256","kid":"ES256"}`) + "." + b64(jwtClaims(jwtIssuer, "")) + "."
	with := func(list ...[]byte) (tokens []string) {
		for _, signature := range list {
			tokens = append(tokens, start+b64(string(signature)))
		}
		return tokens
	}
	good := signature(t, k.ec[jose.ES256], strings.TrimSuffix(start, "."))
	zero, ones, order := make([]byte, 32), bytes.Repeat([]byte{255}, 32), elliptic.P256().Params().N.Bytes()
	one := big.NewInt(1).FillBytes(make([]byte, 32))
	r, s := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	rs := raw(t, k.rsa, rsHeader, jwtClaims(jwtIssuer, ""))
	cut := strings.LastIndexByte(rs, '.')
	rsSignature, err := base64.RawURLEncoding.DecodeString(rs[cut+1:])
	if err != nil {
		t.Fatal(err)
	}
	other := raw(t, k.rsa, rsHeader, jwtClaims(jwtIssuer, `,"admin":true`))
	larger := new(big.Int).Add(new(big.Int).SetBytes(rsSignature), k.rsa.N)
	return map[string][]string{
		"zeroes and other numbers": with(append(zero, zero...), append(zero[:32:32], good[32:]...), append(good[:32:32], zero...),
			append(one[:32:32], one...), append(ones[:32:32], ones...), append(order[:32:32], order...), append(order[:32:32], good[32:]...)),
		"other forms of a signature": with(derOf(t, r, s), good[:63], append(good[:64:64], 0), append([]byte{0}, good...), good[:32],
			append(append([]byte{}, good...), good...), []byte(b64(string(good)))),
		"no signature":              {start, strings.TrimSuffix(start, "."), rs[:cut+1], rs[:cut]},
		"another signature":         {rs[:cut+1] + other[strings.LastIndexByte(other, '.')+1:], other[:strings.LastIndexByte(other, '.')+1] + rs[cut+1:]},
		"lengths of RSA":            {rs[:cut+1] + b64(string(rsSignature[1:])), rs[:cut+1] + b64("\x00"+string(rsSignature)), rs[:cut+1] + b64(string(larger.Bytes())), rs[:cut+1] + b64(strings.Repeat("\x00", 256)), rs[:cut+1] + b64(strings.Repeat("\x00", 255)+"\x01")},
		"changes of what is signed": {changeOf(rs, 0, `{"alg":"RS256","kid":"rsa","x":1}`), changeOf(rs, 1, jwtClaims(jwtIssuer, `,"admin":true`))},
	}
}

func shapeAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	good := raw(t, k.rsa, rsHeader, jwtClaims(jwtIssuer, ""))
	parts := strings.Split(good, ".")
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2])
	flat := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])
	encrypted := strings.Join([]string{b64(`{"alg":"RSA-OAEP","enc":"A256GCM"}`), b64("k"), b64("iv"), b64("c"), b64("tag")}, ".")
	huge := raw(t, k.rsa, rsHeader, jwtClaims(jwtIssuer, `,"x":"`+strings.Repeat("x", 10_000)+`"`))
	return map[string][]string{
		"spellings of base64url": {good + "=", good + "==", parts[0] + "=." + parts[1] + "." + parts[2], loosely(good), strings.Replace(good, parts[0], parts[0]+"A", 1),
			strings.NewReplacer("-", "+", "_", "/").Replace(good), parts[0] + "." + parts[1] + ".+/" + parts[2][2:]},
		"spaces":                 {parts[0] + " ." + parts[1] + "." + parts[2], parts[0] + "." + parts[1][:4] + "\t" + parts[1][4:] + "." + parts[2], good + " " + good, good + ", " + good, `"` + good + `"`},
		"other numbers of parts": {"", ".", "..", "...", good + ".", "." + good, good + ".a", parts[0], parts[0] + "." + parts[1], parts[0] + "..." + parts[2], good + "." + good, parts[1] + "." + parts[0] + "." + parts[2]},
		"other serialisations":   {general, flat, encrypted, b64(good), "Bearer " + good, "urn:x." + good},
		"size":                   {huge, strings.Repeat("a", 60_000), strings.Repeat(".", 5000), b64("{"+strings.Repeat(`"a":{`, 3000)) + ".e30." + parts[2]},
	}
}

func headerAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	return map[string][]string{
		"extensions": headers(t, k.rsa, `{"alg":"RS256","kid":"rsa","crit":["exp"]}`, `{"alg":"RS256","kid":"rsa","crit":[]}`, `{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}`,
			`{"alg":"RS256","kid":"rsa","b64":false,"crit":["b64"]}`, `{"alg":"RS256","kid":"rsa","b64":false}`, `{"alg":"RS256","kid":"rsa","zip":"DEF"}`),
		"tokens within tokens": headers(t, k.rsa, `{"alg":"RS256","kid":"rsa","cty":"JWT"}`, `{"alg":"RS256","kid":"rsa","cty":"application/jwt"}`, `{"alg":"RS256","kid":"rsa","enc":"A128GCM"}`),
		"other types":          headers(t, k.rsa, `{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}`, `{"alg":"RS256","kid":"rsa","typ":"dpop+jwt"}`, `{"alg":"RS256","kid":"rsa","typ":1}`, `{"alg":"RS256","kid":"rsa","typ":""}`),
		"headers that are not JSON": headers(t, k.rsa, "", "{", `[{"alg":"RS256"}]`, `"RS256"`, `{"alg":"RS256","kid":"rsa",}`, `{'alg':'RS256','kid':'rsa'}`, `{alg:"RS256"}`, `{"alg":"RS256","kid":"rsa"} x`,
			"\ufeff"+rsHeader, rsHeader+rsHeader, `{"alg":"RS256","kid":"rsa","x":NaN}`, `{"alg":"RS256","kid":"rsa"/**/}`),
		"names that are there twice": append(headers(t, k.rsa, `{"alg":"none","alg":"RS256","kid":"rsa"}`, `{"alg":"RS256","alg":"none","kid":"rsa"}`, `{"alg":"RS256","\u0061lg":"RS256","kid":"rsa"}`),
			claims(t, k, jwtClaims(jwtIssuer, `,"sub":"admin"`), jwtClaims(jwtIssuer, `,"exp":9999999999`), jwtClaims(jwtIssuer, `,"x":{"a":1,"a":2}`))...),
		"bytes that are not UTF-8": append(headers(t, k.rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\xff\"}", "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\xc0\xaf\"}"),
			claims(t, k, jwtClaims(jwtIssuer, ",\"x\":\"\xff\""), jwtClaims(jwtIssuer, ",\"x\":\"\xed\xa0\x80\""), jwtClaims(jwtIssuer, `,"x":"\ud800"`))...),
	}
}

func claimAttacks(t testing.TB, k *jwtKeys) map[string][]string {
	now := time.Now().Unix()
	timed := func(format string, values ...string) (tokens []string) {
		for _, value := range values {
			tokens = append(tokens, claims(t, k, fmt.Sprintf(`{"iss":%q,"aud":"shop","sub":"alice",%s}`, jwtIssuer, fmt.Sprintf(format, value)))...)
		}
		return tokens
	}
	of := func(format string, values ...string) (tokens []string) {
		for _, value := range values {
			tokens = append(tokens, claims(t, k, fmt.Sprintf(format, value, now+1000))...)
		}
		return tokens
	}
	later := fmt.Sprint(now + 1000)
	return map[string][]string{
		"expired":   timed(`"exp":%s`, fmt.Sprint(now-31), fmt.Sprint(now-31)+".9", "0"),
		"no expiry": append(timed(`"x":%s`, "1"), timed(`"Exp":%s`, later)...),
		"expiry that is no plain number": timed(`"exp":%s`, `"`+later+`"`, "1e10", "1E10", later+"e0", "1e400", "-1", "-0", "null", "true", "["+later+"]", `{"a":1}`,
			"253402300800", "9223372036854775808", "18446744073709551615", "99999999999999999999999999", "0"+later, "+"+later, "0x7fffffff", "Infinity", "."+later, later+"."),
		"not yet": append(timed(`"exp":9999999999,"nbf":%s`, fmt.Sprint(now+100), `"0"`, "1e0", "null", "99999999999999999999"),
			timed(`"exp":9999999999,"iat":%s`, fmt.Sprint(now+100), `"0"`, "-1")...),
		"for somebody else": append(of(`{"iss":"`+jwtIssuer+`","aud":%s,"exp":%d}`, `"other"`, `"SHOP"`, `"shop "`, `"shop,other"`, `[]`, `["other"]`, `[["shop"]]`, `{"shop":1}`, `null`, `""`),
			of(`{"iss":"`+jwtIssuer+`","aud2":%s,"exp":%d}`, `"shop"`)...),
		"of somebody else": append(of(`{"aud":"shop","iss":%s,"exp":%d}`, `"https://evil.example"`, `"`+jwtIssuer+`/"`, `"HTTPS://idp.example.com"`, `"`+jwtIssuer+`\u0000"`, `"`+jwtIssuer+` "`,
			`["`+jwtIssuer+`"]`, `null`, `""`, `{}`), of(`{"aud":"shop","issuer":%s,"exp":%d}`, `"`+jwtIssuer+`"`)...),
		"claims that are no object": claims(t, k, "", "null", "1", `"x"`, "["+jwtClaims(jwtIssuer, "")+"]", jwtClaims(jwtIssuer, "")+"{}", jwtClaims(jwtIssuer, "")+"\x00",
			jwtClaims(jwtIssuer, `,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))),
	}
}

func newEC(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// derOf is the form that X.509 has for a signature.
func derOf(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// changeOf puts something else in the place of one part of a token.
func changeOf(token string, part int, text string) string {
	parts := strings.Split(token, ".")
	parts[part] = b64(text)
	return strings.Join(parts, ".")
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// loosely spells the same bytes with another last digit, whose last bits mean nothing.
func loosely(text string) string {
	last := strings.IndexByte(base64Digits, text[len(text)-1])
	return text[:len(text)-1] + string(base64Digits[last|1])
}
