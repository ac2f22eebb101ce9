package policies

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// jweVector is a key and messages of an RFC.
type jweVector struct {
	Name, Algorithm, Plaintext string
	Key                        json.RawMessage
	Messages                   []string
}

// The messages of RFC 7516, A, and RFC 7520, 5, in all serializations, as far as their
// algorithms are supported. They name keys as they like.
func TestJWEVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("jwe", "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []jweVector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			line := v.line(t)
			for _, message := range v.Messages {
				media := "application/jose"
				if strings.HasPrefix(message, "{") {
					media = "application/jose+json"
				}
				sent, _, err := across(line, "content-type: "+media+"\n", []string{message}, nil)
				if err != nil || sent != v.Plaintext {
					t.Errorf("%.60s...: got %q, %v, want %q", message, sent, err, v.Plaintext)
				}
				checked++
			}
		})
	}
	if checked < 20 {
		t.Errorf("%d messages only", checked)
	}
}

// line decrypts with the vector's key.
func (v *jweVector) line(t *testing.T) *tier.Tier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.jwk")
	if err := os.WriteFile(file, v.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("[key.vector]\nalgorithm = %q\nencoding = \"jwk\"\nversions.one = \"file:%s\"\n"+
		"[policy.jwe.keys]\nvector = { key = \"vector\", use = [\"unwrap\"] }\n", v.Algorithm, file)
	s := openSuite(t, wasm.Options{}, "jwe", manifest)
	var key struct{ Kid string }
	if err := json.Unmarshal(v.Key, &key); err != nil {
		t.Fatal(err)
	}
	ours := map[string]any{"name": "vector"}
	// In RFC 7516, A.4, a key without an id is called 7.
	if key.Kid != "" {
		ours["kid"] = key.Kid
	} else if strings.Contains(v.Messages[0], `"kid":"7"`) {
		ours["kid"] = "7"
	}
	decrypt := map[string]any{"keys": []any{ours}, "enc": []any{"A128GCM", "A256GCM", "A128CBC-HS256"}}
	return s.Alone(t, s.Load(t, v.Name, map[string]any{"request": map[string]any{"decrypt": decrypt}}))
}

const jweContent = `{"card": "4111 1111 1111 1111"}`

func jweKey(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("jwe", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		key, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What the policy makes another implementation reads, and the other way about, for
// every algorithm and in both serializations.
func TestJWEWithAnotherImplementation(t *testing.T) {
	s := newSuite(t, "jwe")
	ours, theirs := jweKey(t, "ours.pem").(*ecdsa.PrivateKey), jweKey(t, "theirs-private.pem").(*rsa.PrivateKey)
	shared, content := jweKey(t, "wrap.hex").([]byte), jweKey(t, "content.hex").([]byte)
	for _, c := range []struct {
		name, kid     string
		alg           jose.KeyAlgorithm
		private, open any
	}{
		{"ours", "now", jose.ECDH_ES_A256KW, ours, &ours.PublicKey},
		{"theirs", "one", jose.RSA_OAEP_256, theirs, nil},
		{"shared", "one", jose.A256KW, shared, shared},
		{"content", "one", jose.DIRECT, content, content},
	} {
		for _, enc := range []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A256CBC_HS512} {
			if c.alg == jose.DIRECT && enc != jose.A256GCM {
				continue
			}
			for _, serialization := range []string{"compact", "json"} {
				name := fmt.Sprint(c.name, " ", enc, " ", serialization)
				encrypt := map[string]any{"keys": []any{c.name}, "enc": string(enc), "serialization": serialization}
				line := s.Alone(t, s.Load(t, name, map[string]any{"request": map[string]any{"encrypt": encrypt}}))
				sent, _, err := across(line, "content-type: application/json\n", []string{jweContent}, nil)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				theyRead(t, name, sent, c.alg, enc, c.private, c.kid)
				if c.open == nil {
					continue // the policy has the public half alone
				}
				decrypt := map[string]any{"keys": []any{c.name}, "enc": []any{string(enc)}}
				line = s.Alone(t, s.Load(t, name, map[string]any{"request": map[string]any{"decrypt": decrypt}}))
				message, media := theyWrite(t, c.alg, enc, c.open, c.kid, serialization)
				if sent, _, err := across(line, "content-type: "+media+"\n", []string{message}, nil); err != nil || sent != jweContent {
					t.Errorf("%s: got %q, %v, want %q", name, sent, err, jweContent)
				}
			}
		}
	}
}

func theyRead(t *testing.T, name, message string, alg jose.KeyAlgorithm, enc jose.ContentEncryption, key any, kid string) {
	t.Helper()
	parse := jose.ParseEncryptedCompact
	if strings.HasPrefix(message, "{") {
		parse = jose.ParseEncryptedJSON
	}
	parsed, err := parse(message, []jose.KeyAlgorithm{alg}, []jose.ContentEncryption{enc})
	if err != nil {
		t.Fatalf("%s: %v in %s", name, err, message)
	}
	if parsed.Header.KeyID != kid || parsed.Header.ExtraHeaders["cty"] != "application/json" {
		t.Errorf("%s: the header is %+v", name, parsed.Header)
	}
	if text, err := parsed.Decrypt(key); err != nil || string(text) != jweContent {
		t.Errorf("%s: got %q, %v, want %q", name, text, err, jweContent)
	}
}

func theyWrite(t *testing.T, alg jose.KeyAlgorithm, enc jose.ContentEncryption, key any, kid, serialization string) (message, media string) {
	t.Helper()
	encrypter, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key, KeyID: kid}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := encrypter.Encrypt([]byte(jweContent))
	if err != nil {
		t.Fatal(err)
	}
	if serialization == "json" {
		return made.FullSerialize(), "application/jose+json"
	}
	if message, err = made.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return message, "application/jose"
}

// A message for two is one for each of them.
func TestJWEForTwo(t *testing.T) {
	s := newSuite(t, "jwe")
	encrypt := map[string]any{"keys": []any{"theirs", "shared"}, "serialization": "json"}
	line := s.Alone(t, s.Load(t, "two", map[string]any{"request": map[string]any{"encrypt": encrypt}}))
	message, _, err := across(line, "content-type: application/json\n", []string{jweContent}, nil)
	if err != nil {
		t.Fatal(err)
	}
	algs := []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.A256KW}
	parsed, err := jose.ParseEncryptedJSON(message, algs, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []any{jweKey(t, "theirs-private.pem"), jweKey(t, "wrap.hex")} {
		if _, _, text, err := parsed.DecryptMulti(key); err != nil || string(text) != jweContent {
			t.Errorf("%T: got %q, %v", key, text, err)
		}
	}
}

// Whatever happens to a message, its content is in no line of the log, also at the level
// at which refusals are told.
func TestJWELogsNoContent(t *testing.T) {
	s := newSuite(t, "jwe")
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	decrypt := map[string]any{"keys": []any{"shared"}}
	line := s.Alone(t, s.Load(t, "log", map[string]any{"request": map[string]any{"decrypt": decrypt}}))
	message, media := theyWrite(t, jose.A256KW, jose.A256GCM, jweKey(t, "wrap.hex"), "one", "compact")
	for _, body := range []string{message, message[:len(message)-4], strings.Replace(message, ".", ".A", 1), jweContent} {
		_, _, _ = across(line, "content-type: "+media+"\n", []string{body}, nil)
	}
	if !strings.Contains(log.String(), "request refused: ") {
		t.Errorf("no refusal is logged:\n%s", &log)
	}
	if strings.Contains(log.String(), "4111") || strings.Contains(log.String(), message[60:90]) {
		t.Errorf("the log shows it:\n%s", &log)
	}
}
