package keyring

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// material is that of a key of some bytes, each other for another seed.
func material(seed byte, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = seed + 7*byte(i)
	}
	return b
}

func pemOf(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	kind := "PRIVATE KEY"
	if err != nil {
		der, err = x509.MarshalPKIXPublicKey(key)
		kind = "PUBLIC KEY"
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func mustKey(t testing.TB, algorithm string, ids ...string) *Key {
	t.Helper()
	var versions []*Version
	for i, id := range ids {
		v, err := Parse(algorithm, "raw", id, material(byte(i+1), algorithms[algorithm].size))
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	return NewKey(algorithm, versions...)
}

// grantOf makes a grant of keys by name, for all that they can do.
func grantOf(t testing.TB, keys map[string]*Key) *Grant {
	t.Helper()
	granted := map[string]Granted{}
	for name, k := range keys {
		granted[name] = Granted{k, k.Can()}
	}
	g := NewGrant(granted, NewGate())
	for _, k := range keys {
		k.Release()
	}
	t.Cleanup(g.Close)
	return g
}

func soon(t testing.TB) Turn { return Turn{Context: t.Context()} }

func is(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var aeads = []string{"XAES-256-GCM", "XChaCha20-Poly1305", "AES-256-SIV"}

func TestSealAndOpen(t *testing.T) {
	for _, algorithm := range aeads {
		g := grantOf(t, map[string]*Key{"k": mustKey(t, algorithm, "new", "old")})
		before := grantOf(t, map[string]*Key{"k": NewKey(algorithm, mustKey(t, algorithm, "x", "old").versions[1])})
		name, context := []byte("k"), []byte("context")
		for _, text := range []string{"", "a", strings.Repeat("long ", 1000)} {
			sealed, err := g.Seal(name, []byte(text), context)
			is(t, "seal", err, nil)
			if id, ok := SealedWith(sealed); string(id) != "new" || !ok {
				t.Errorf("%s: sealed with %q, want new", algorithm, id)
			}
			if len(sealed) > len(text)+2+3+MaxOverhead {
				t.Errorf("%s: %d bytes of %d", algorithm, len(sealed), len(text))
			}
			opened, err := g.Open(name, sealed, context)
			if err != nil || string(opened) != text {
				t.Errorf("%s: got %q, %v", algorithm, opened, err)
			}
			older, err := before.Seal(name, []byte(text), context)
			is(t, "seal with the old one", err, nil)
			if opened, err := g.Open(name, older, context); err != nil || string(opened) != text {
				t.Errorf("%s, version before: got %q, %v", algorithm, opened, err)
			}
			again, _ := g.Seal(name, []byte(text), context)
			if same := bytes.Equal(again, sealed); same != (algorithm == "AES-256-SIV") {
				t.Errorf("%s: sealing twice made the same bytes: %v", algorithm, same)
			}
		}
	}
}

// Whatever bit is changed of what was sealed, or of its context: it does not open.
func TestTamperedDoesNotOpen(t *testing.T) {
	for _, algorithm := range aeads {
		g := grantOf(t, map[string]*Key{"k": mustKey(t, algorithm, "one")})
		sealed, err := g.Seal([]byte("k"), []byte("text"), []byte("context"))
		is(t, "seal", err, nil)
		for bit := range 8 * len(sealed) {
			changed := bytes.Clone(sealed)
			changed[bit/8] ^= 1 << (bit % 8)
			if _, err := g.Open([]byte("k"), changed, []byte("context")); err == nil {
				t.Errorf("%s: opened with bit %d changed", algorithm, bit)
			}
		}
		for length := range sealed {
			if _, err := g.Open([]byte("k"), sealed[:length], []byte("context")); err == nil {
				t.Errorf("%s: opened %d bytes of %d", algorithm, length, len(sealed))
			}
		}
		for _, context := range []string{"", "Context", "context ", "ontext"} {
			_, err := g.Open([]byte("k"), sealed, []byte(context))
			is(t, "another context", err, ErrMismatch)
		}
	}
}

// The same material under another id is another version: nobody relabels it.
func TestTheIDIsAuthenticated(t *testing.T) {
	one, two := mustKey(t, "XAES-256-GCM", "one"), mustKey(t, "XAES-256-GCM", "two")
	sealed, err := grantOf(t, map[string]*Key{"k": one}).Seal([]byte("k"), []byte("text"), nil)
	is(t, "seal", err, nil)
	relabelled := append([]byte{1, 3, 't', 'w', 'o'}, sealed[5:]...)
	_, err = grantOf(t, map[string]*Key{"k": two}).Open([]byte("k"), relabelled, nil)
	is(t, "relabelled", err, ErrMismatch)
}

// The vectors of C2SP's XAES-256-GCM.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct{ key, aad, want string }{
		{"01", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"03", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		key, _ := hex.DecodeString(strings.Repeat(v.key, 32))
		works, err := newXAES(nil, key)
		is(t, "make", err, nil)
		inner, nonce := works.(random24).new([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"))
		if got := hex.EncodeToString(inner.Seal(nil, nonce, []byte("XAES-256-GCM"), []byte(v.aad))); got != v.want {
			t.Errorf("got %s, want %s", got, v.want)
		}
	}
}

func TestGrantsAreClosed(t *testing.T) {
	k := mustKey(t, "AES-256-SIV", "one")
	defer k.Release()
	g := NewGrant(map[string]Granted{"k": {k, Open}}, NewGate())
	defer g.Close()
	_, err := g.Seal([]byte("k"), nil, nil)
	is(t, "a use that is not granted", err, ErrNotGranted)
	_, err = g.Open([]byte("other"), nil, nil)
	is(t, "a key that is not granted", err, ErrNotGranted)
	_, err = g.Sign(soon(t), []byte("k"), nil)
	is(t, "sign", err, ErrNotGranted)
	is(t, "verify", g.Verify([]byte("k"), nil, nil, nil), ErrNotGranted)
	_, err = g.Open([]byte("k"), []byte("none"), nil)
	is(t, "another form", err, ErrMalformed)
	_, err = g.Open([]byte("k"), []byte("\x01\x03two"), nil)
	is(t, "another version", err, ErrUnknown)
	if id, ok := g.KeyID([]byte("k")); id != "one" || !ok {
		t.Errorf("got %q, %v", id, ok)
	}
	if _, ok := g.Algorithm([]byte("other")); ok {
		t.Error("the algorithm of a key that is not granted is told")
	}
}

func TestSignatures(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	is(t, "make an RSA key", err, nil)
	_, edKey, _ := ed25519.GenerateKey(nil)
	keys := map[string]any{"RS": rsaKey, "PS": rsaKey, "Ed": edKey}
	for algorithm, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if keys[algorithm], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for _, algorithm := range Algorithms() {
		if UsesOf(algorithm)&Sign == 0 {
			continue
		}
		made := keys[algorithm]
		if made == nil {
			made = keys[algorithm[:2]]
		}
		encoding, text := "raw", material(1, 64)
		if made != nil {
			encoding, text = "pem", pemOf(t, made)
		}
		version, err := Parse(algorithm, encoding, "one", text)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		g := grantOf(t, map[string]*Key{"k": NewKey(algorithm, version)})
		signature, err := g.Sign(soon(t), []byte("k"), []byte("data"))
		is(t, algorithm, err, nil)
		is(t, algorithm, g.Verify([]byte("k"), nil, []byte("data"), signature), nil)
		is(t, algorithm, g.Verify([]byte("k"), []byte("one"), []byte("data"), signature), nil)
		is(t, algorithm, g.Verify([]byte("k"), []byte("two"), []byte("data"), signature), ErrUnknown)
		is(t, algorithm, g.Verify([]byte("k"), nil, []byte("date"), signature), ErrMismatch)
		is(t, algorithm, g.Verify([]byte("k"), nil, []byte("data"), signature[1:]), ErrMismatch)
		is(t, algorithm, g.Verify([]byte("k"), nil, []byte("data"), nil), ErrMismatch)
	}
}

// A public key verifies and does nothing else.
func TestPublicKeyCannotSign(t *testing.T) {
	public, _, _ := ed25519.GenerateKey(nil)
	version, err := Parse("EdDSA", "pem", "one", pemOf(t, public))
	is(t, "parse", err, nil)
	if can := NewKey("EdDSA", version).Can(); can != Verify {
		t.Errorf("it can %v, want verify", UseNames(can))
	}
}

func TestParseRefuses(t *testing.T) {
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	short := base64.StdEncoding.EncodeToString(material(1, 31))
	for _, c := range []struct{ algorithm, encoding, material, says string }{
		{"AES-256-GCM", "raw", "", "no algorithm"},
		{"XAES-256-GCM", "raw", "", "has 0 bytes"},
		{"XAES-256-GCM", "base64", short, "has 31 bytes"},
		{"XAES-256-GCM", "base64", "!", "not base64"},
		{"XAES-256-GCM", "hex", "0g", "not hexadecimal"},
		{"XAES-256-GCM", "pem", "", "cannot be pem"},
		{"XAES-256-GCM", "raw", strings.Repeat("k", 32), "1 different bytes"},
		{"XAES-256-GCM", "raw", strings.Repeat("k", MaxMaterialBytes+1), "too long"},
		{"XAES-256-GCM", "jwk", `{"kty":"RSA"}`, `"oct"`},
		{"XAES-256-GCM", "jwk", `{"kty":"oct","k":"AAEC"}`, "has 3 bytes"},
		{"HS512", "raw", string(material(1, 63)), "has 63 bytes"},
		{"RS256", "raw", "", "cannot be raw"},
		{"RS256", "pem", "", "no key in PEM"},
		{"RS256", "pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"},
		{"RS256", "pem", string(pemOf(t, weak)), "1024 bits"},
		{"RS256", "pem", string(pemOf(t, p256)), "RS256 takes an RSA key"},
		{"ES384", "pem", string(pemOf(t, p256)), "P-384"},
		{"EdDSA", "pem", string(pemOf(t, p256)), "Ed25519"},
		{"ES256", "jwk", `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, "no JWK that can be used"},
	} {
		v, err := Parse(c.algorithm, c.encoding, "one", []byte(c.material))
		if v != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, %s, %.20q: got %v, want an error that says %q", c.algorithm, c.encoding, c.material, err, c.says)
		}
	}
}

func TestEncodingsAreOne(t *testing.T) {
	raw := material(3, 32)
	for encoding, text := range map[string]string{
		"raw": string(raw), "hex": hex.EncodeToString(raw) + "\n", "base64": base64.StdEncoding.EncodeToString(raw) + "\n",
		"jwk": fmt.Sprintf(`{"kty":"oct","k":%q,"use":"enc"}`, base64.RawURLEncoding.EncodeToString(raw)),
	} {
		v, err := Parse("XAES-256-GCM", encoding, "one", []byte(text))
		if err != nil || !bytes.Equal(v.secret, raw) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}

// A key is zeroed with its last reference, and not before.
func TestReleaseZeroes(t *testing.T) {
	_, private, _ := ed25519.GenerateKey(nil)
	pair, err := Parse("EdDSA", "pem", "one", pemOf(t, private))
	is(t, "parse", err, nil)
	for _, k := range []*Key{mustKey(t, "AES-256-SIV", "one", "two"), NewKey("EdDSA", pair)} {
		g := NewGrant(map[string]Granted{"k": {k, k.Can()}}, NewGate())
		k.Release()
		for _, v := range k.versions {
			if bytes.Equal(v.secret, make([]byte, len(v.secret))) {
				t.Error("zeroed while it is granted")
			}
		}
		g.Close()
		for _, v := range k.versions {
			if !bytes.Equal(v.secret, make([]byte, len(v.secret))) {
				t.Error("not zeroed")
			}
		}
	}
	if made := pair.works.(ed25519Key).private; !bytes.Equal(made, make([]byte, len(made))) {
		t.Error("what was parsed is not zeroed")
	}
}

func TestFingerprint(t *testing.T) {
	one := mustKey(t, "HS256", "a", "b").Fingerprint()
	if one != mustKey(t, "HS256", "a", "b").Fingerprint() {
		t.Error("the same key has two fingerprints")
	}
	for what, other := range map[string]*Key{
		"an id": mustKey(t, "HS256", "a", "c"), "the number": mustKey(t, "HS256", "a"), "the primary": mustKey(t, "HS256", "b", "a"),
		"the algorithm": mustKey(t, "XAES-256-GCM", "a", "b"),
	} {
		if other.Fingerprint() == one {
			t.Errorf("%s does not count", what)
		}
	}
}

// No verb shows a key.
func TestNoVerbShowsAKey(t *testing.T) {
	k := mustKey(t, "HS256", "one")
	hidden := material(1, 4)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		text := fmt.Sprintf(verb, k)
		if strings.Contains(text, string(hidden)) || strings.Contains(text, fmt.Sprint(hidden)[1:8]) || strings.Contains(text, hex.EncodeToString(hidden)) {
			t.Errorf("%s shows %s", verb, text)
		}
	}
}

func TestGateIsBounded(t *testing.T) {
	g := NewGate()
	held := make(chan struct{})
	places := 0
	var holders sync.WaitGroup
	for g.places.TryAcquire(1) { // all places are taken
		places++
	}
	holders.Go(func() {
		<-held
		g.places.Release(int64(places))
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, "no time", g.do(Turn{Context: ended}, 0, func() error { t.Error("done"); return nil }), ErrTimeout)

	var waiting sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range maxWaiting {
		waiting.Go(func() { _ = g.do(Turn{Context: ctx}, 0, func() error { return nil }) })
	}
	for deadline := time.Now().Add(10 * time.Second); g.waiting.Load() < maxWaiting; {
		if time.Now().After(deadline) {
			t.Fatalf("%d wait", g.waiting.Load())
		}
		time.Sleep(time.Millisecond)
	}
	is(t, "one too many", g.do(Turn{Context: ctx}, 0, func() error { return nil }), ErrBusy)
	close(held)
	holders.Wait()
	waiting.Wait()
	stop()
	is(t, "afterwards", g.do(soon(t), memoryBytes, func() error { return ErrMismatch }), ErrMismatch)
	if n := g.waiting.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// A guest whose time is up panics in the middle: nothing stays taken.
func TestGateSurvivesAPanic(t *testing.T) {
	g := NewGate()
	boom := func() { panic("time") }
	for _, turn := range []Turn{{Context: t.Context(), Wait: boom}, {Context: t.Context(), Resume: boom}} {
		func() {
			defer func() { _ = recover() }()
			_ = g.do(turn, memoryBytes, func() error { return nil })
		}()
	}
	is(t, "afterwards", g.do(soon(t), memoryBytes, func() error { return nil }), nil)
}
