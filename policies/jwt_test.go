package policies

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

const jwtIssuer = "https://idp.example.com"

// jwtSecretFile has 64 bytes, so that they serve HS512 too.
const jwtSecretFile = "jwt/testdata/partners.key"

func jwtSecret(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(jwtSecretFile)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// jwtManifest grants keys for HMAC by the names of their algorithms, and one origin.
func jwtManifest(origin string) string {
	text := fmt.Sprintf("[policy.jwt.http]\nhosts = [%q]\ninternal = [\"127.0.0.0/8\"]\n", origin)
	for _, name := range []string{"HS256", "HS384", "HS512"} {
		text += fmt.Sprintf("[key.%s]\nalgorithm = %[1]q\nversions = { one = \"file:%s\" }\n"+
			"[policy.jwt.keys.%[1]s]\nkey = %[1]q\nuse = [\"verify\"]\n", name, jwtSecretFile)
	}
	return text
}

// jwtKeys are an issuer's private keys by the names of their public ones.
type jwtKeys struct {
	rsa  *rsa.PrivateKey
	ec   map[jose.SignatureAlgorithm]*ecdsa.PrivateKey
	ed   ed25519.PrivateKey
	hmac []byte
	weak *rsa.PrivateKey // of 1024 bits
}

func newJWTKeys(t testing.TB) *jwtKeys {
	t.Helper()
	k := &jwtKeys{hmac: jwtSecret(t), ec: map[jose.SignatureAlgorithm]*ecdsa.PrivateKey{}}
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	for algorithm, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{
		jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
	} {
		if k.ec[algorithm], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, k.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	if k.weak, err = rsa.GenerateKey(rand.Reader, 1024); err != nil {
		t.Fatal(err)
	}
	return k
}

// set is the JWK Set of the issuer: each key twice, once for signatures and once,
// under another name, for something else.
func (k *jwtKeys) set(t testing.TB) string {
	t.Helper()
	keys := []jose.JSONWebKey{
		{KeyID: "rsa", Key: k.rsa.Public()},
		{KeyID: "ed", Key: k.ed.Public(), Use: "sig", Algorithm: "EdDSA"},
		{KeyID: "rsa-enc", Key: k.rsa.Public(), Use: "enc"},
		{KeyID: "rsa-512", Key: k.rsa.Public(), Algorithm: "RS512"},
		{KeyID: "weak", Key: k.weak.Public()},
	}
	for algorithm, key := range k.ec {
		keys = append(keys, jose.JSONWebKey{KeyID: string(algorithm), Key: key.Public(), Use: "sig"})
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// of is the private key and the name of the public one for an algorithm.
func (k *jwtKeys) of(algorithm jose.SignatureAlgorithm) (key any, id string) {
	switch algorithm[:2] {
	case "ES":
		return k.ec[algorithm], string(algorithm)
	case "Ed":
		return k.ed, "ed"
	case "HS":
		return k.hmac, ""
	}
	return k.rsa, "rsa"
}

// sign has the library make a token.
func (k *jwtKeys) sign(t testing.TB, algorithm jose.SignatureAlgorithm, claims string) string {
	t.Helper()
	key, id := k.of(algorithm)
	options := new(jose.SignerOptions).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func jwtClaims(issuer, more string) string {
	return fmt.Sprintf(`{"iss":%q,"aud":"shop","sub":"alice","exp":%d%s}`, issuer, time.Now().Unix()+1000, more)
}

// jwtLine is the policy with an issuer whose keys are given, and one for each key of
// the key ring.
func jwtLine(t testing.TB, k *jwtKeys) *tier.Tier {
	t.Helper()
	s := openSuite(t, wasm.Options{}, "jwt", jwtManifest("http://127.0.0.1:1"))
	issuers := []any{map[string]any{"issuer": jwtIssuer, "audiences": []string{"shop"}, "jwks": k.set(t)}}
	for _, name := range []string{"HS256", "HS384", "HS512"} {
		issuers = append(issuers, map[string]any{"issuer": name, "audiences": []string{"shop"}, "key": name})
	}
	return s.Alone(t, s.Load(t, "made", map[string]any{"issuers": issuers}))
}

// present sends a request with these values of Authorization.
func present(t testing.TB, line *tier.Tier, values ...string) (status int) {
	t.Helper()
	x := new(cases.Case).Exchange(t)
	for _, value := range values {
		x.Request.Header.Add("Authorization", value)
	}
	return send(t, line, x)
}

// send sends a request, and returns the status of the answer, or 0 if it went on.
func send(t testing.TB, line *tier.Tier, x *exchange.Exchange) (status int) {
	t.Helper()
	walk := new(tier.Walk)
	if f := line.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer line.Leave(x)
	defer line.Done(walk, x)
	answered, f := line.Request(walk, x)
	if f != nil {
		t.Fatal(f)
	}
	if answered {
		return x.Response.Status
	}
	x.Route.Sent = true
	line.Response(walk, x)
	return 0
}

// TestJWTAlgorithms has tokens made by a library of its own.
func TestJWTAlgorithms(t *testing.T) {
	k := newJWTKeys(t)
	line := jwtLine(t, k)
	for _, algorithm := range []jose.SignatureAlgorithm{
		jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	} {
		issuer := jwtIssuer
		if strings.HasPrefix(string(algorithm), "HS") {
			issuer = string(algorithm)
		}
		token := k.sign(t, algorithm, jwtClaims(issuer, ""))
		for range 2 {
			if got := present(t, line, "Bearer "+token); got != 0 {
				t.Errorf("%s: got %d, want it to pass", algorithm, got)
			}
		}
		at := strings.LastIndexByte(token, '.') + 3
		changed := token[:at] + string('A'+(token[at]-'A'+1)%26) + token[at+1:]
		if got := present(t, line, "Bearer "+changed); got != 401 {
			t.Errorf("%s with another signature: got %d, want 401", algorithm, got)
		}
		other := k.sign(t, algorithm, jwtClaims("somebody", ""))
		if got := present(t, line, "Bearer "+other); got != 401 {
			t.Errorf("%s of somebody else: got %d, want 401", algorithm, got)
		}
	}
}

// raw makes a token of any header and claims, signed with SHA-256 by the key given.
func raw(t testing.TB, key any, header, claims string) string {
	t.Helper()
	signed := b64(header) + "." + b64(claims)
	return signed + "." + b64(string(signature(t, key, signed)))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func signature(t testing.TB, key any, signed string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(signed))
	var made []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		made, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, key, digest[:]); err == nil {
			made = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		made = ed25519.Sign(key, []byte(signed))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		made = mac.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestJWTAttacks sends what attacks.md lists. What is signed is signed by the right
// key, unless that is the attack.
func TestJWTAttacks(t *testing.T) {
	k := newJWTKeys(t)
	line := jwtLine(t, k)
	text, err := os.ReadFile("jwt/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	attacks, sent := jwtAttacks(t, k), 0
	for name, values := range attacks {
		for i, value := range values {
			if got := present(t, line, "Bearer "+value); got != 401 {
				t.Errorf("%s, %d: got %d, want 401: %.200s", name, i+1, got, value)
			}
			sent++
		}
		if !strings.Contains(page, "\n- "+name+":") {
			t.Errorf("attacks.md does not list %q", name)
		}
	}
	if listed := strings.Count(page, "\n- "); listed != len(attacks) {
		t.Errorf("attacks.md lists %d attacks, want the %d that are sent", listed, len(attacks))
	}
	t.Logf("%d tokens", sent)
	good := "Bearer " + k.sign(t, jose.RS256, jwtClaims(jwtIssuer, ""))
	for _, values := range [][]string{{good, good}, {good, "Basic YTpi"}, {"Bearer x", good}} {
		if got := present(t, line, values...); got != 400 {
			t.Errorf("two fields: got %d, want 400", got)
		}
	}
	if got := present(t, line, good); got != 0 {
		t.Errorf("after all that: got %d, want it to pass", got)
	}
}

// jwtServer serves a JWK Set that changes, and counts who asks for it.
type jwtServer struct {
	*hosttest.Backend
	set   atomic.Pointer[string] // nil: the server is out of order
	asked atomic.Int32
}

func newJWTServer(t testing.TB) *jwtServer {
	s := new(jwtServer)
	s.Backend = hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		set := s.set.Load()
		if set == nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		io.WriteString(w, *set)
	}))
	return s
}

// line is the policy with the keys of the server.
func (s *jwtServer) line(t testing.TB, isolation, refresh, pause string) *tier.Tier {
	t.Helper()
	suite := openSuite(t, wasm.Options{}, "jwt", jwtManifest(s.URL))
	suite.Settings.Isolation = isolation
	issuer := map[string]any{
		"issuer": jwtIssuer, "audiences": []string{"shop"}, "jwks_url": s.URL + "/jwks", "refresh": refresh, "pause": pause,
	}
	return suite.Alone(t, suite.Load(t, "made", map[string]any{"issuers": []any{issuer}}))
}

// Keys are fetched once, whichever instance asks and however many unknown ones
// clients name.
func TestJWTFetchesAreBounded(t *testing.T) {
	k := newJWTKeys(t)
	for _, isolation := range []string{"shared", "exchange"} {
		server := newJWTServer(t)
		set := k.set(t)
		server.set.Store(&set)
		line := server.line(t, isolation, "2h", "1h")
		good := k.sign(t, jose.RS256, jwtClaims(jwtIssuer, ""))
		for n := range 100 {
			if got := present(t, line, "Bearer "+good); got != 0 {
				t.Fatalf("%s: got %d, want it to pass", isolation, got)
			}
			unknown := raw(t, k.ed, fmt.Sprintf(`{"alg":"EdDSA","kid":"unknown-%d"}`, n), jwtClaims(jwtIssuer, ""))
			if got := present(t, line, "Bearer "+unknown); got != 401 {
				t.Fatalf("%s: got %d, want 401", isolation, got)
			}
		}
		if got := server.asked.Load(); got != 1 {
			t.Errorf("%s: the keys were fetched %d times, want once", isolation, got)
		}
	}
}

// Without keys nobody passes; with them the right ones do, also when they change; and
// when the server is gone the old ones serve.
func TestJWTKeysComeAndChange(t *testing.T) {
	one, two := newJWTKeys(t), newJWTKeys(t)
	server := newJWTServer(t)
	line := server.line(t, "shared", "1s", "1s")
	old := "Bearer " + one.sign(t, jose.EdDSA, jwtClaims(jwtIssuer, ""))
	fresh := "Bearer " + two.sign(t, jose.EdDSA, jwtClaims(jwtIssuer, ""))
	for range 3 {
		if got := present(t, line, old); got != 503 {
			t.Errorf("without keys: got %d, want 503", got)
		}
	}
	becomes := func(what, value string, want int) {
		t.Helper()
		hosttest.Eventually(t, func() bool { return present(t, line, value) == want }, what)
	}
	first, second := one.set(t), two.set(t)
	server.set.Store(&first)
	becomes("the keys are there", old, 0)
	server.set.Store(&second)
	becomes("the keys are others", fresh, 0)
	becomes("the old keys are gone", old, 401)
	server.set.Store(nil)
	asked := server.asked.Load()
	hosttest.Eventually(t, func() bool {
		if got := present(t, line, fresh); got != 0 {
			t.Fatalf("with the server down: got %d, want it to pass", got)
		}
		return server.asked.Load() > asked
	}, "the keys are asked for again")
}

// BenchmarkJWT is what a token costs whose signature is verified with each exchange,
// and one that is known.
func BenchmarkJWT(b *testing.B) {
	k := newJWTKeys(b)
	for _, cached := range []int{0, 256} {
		for _, algorithm := range []jose.SignatureAlgorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA} {
			s := openSuite(b, wasm.Options{}, "jwt", jwtManifest("http://127.0.0.1:1"))
			issuer := map[string]any{"issuer": jwtIssuer, "audiences": []string{"shop"}, "jwks": k.set(b)}
			if algorithm == jose.HS256 {
				issuer = map[string]any{"issuer": jwtIssuer, "audiences": []string{"shop"}, "key": "HS256"}
			}
			p := s.Load(b, "made", map[string]any{"issuers": []any{issuer}, "cache": cached})
			c := cases.Case{Request: cases.Request{Header: map[string]cases.Values{
				"Authorization": {"Bearer " + k.sign(b, algorithm, jwtClaims(jwtIssuer, ""))},
			}}}
			b.Run(fmt.Sprintf("%s/cache=%d", algorithm, cached), func(b *testing.B) { s.Visit(b, &c, p) })
		}
	}
}
