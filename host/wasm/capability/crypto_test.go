package capability

import (
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

func newCrypto(t testing.TB) *relay {
	t.Helper()
	grant := newKeys(t)
	t.Cleanup(grant.Close)
	return newRelay(t, Crypto(), &policy.Granted{Keys: grant})
}

// newKeys grants "data" to seal and open, "old" to open, and "mac" to sign and verify.
func newKeys(t testing.TB) *keyring.Grant {
	t.Helper()
	granted := map[string]keyring.Granted{}
	for name, may := range map[string]keyring.Use{"data": keyring.Seal | keyring.Open, "old": keyring.Open, "mac": keyring.Sign | keyring.Verify} {
		algorithm, size := "XAES-256-GCM", 32
		if name == "mac" {
			algorithm = "HS256"
		}
		material := []byte(strings.Repeat("0123456789abcdef-"+name, 4))[:size]
		version, err := keyring.Parse(algorithm, "raw", "v1", material)
		if err != nil {
			t.Fatal(err)
		}
		key := keyring.NewKey(algorithm, version)
		defer key.Release()
		granted[name] = keyring.Granted{Key: key, May: may}
	}
	return keyring.NewGrant(granted, keyring.NewGate())
}

const outAt, lengthAt = 32 << 10, 16

// output is what was written at outAt.
func (r *relay) output() string {
	n, _ := r.instance.Memory().ReadUint32Le(lengthAt)
	return r.memory(outAt, n)
}

func TestCryptoSealAndOpen(t *testing.T) {
	r := newCrypto(t)
	r.want(ok, "seal", "data", "text", "context", outAt, 100, lengthAt)
	sealed := r.output()
	if !strings.HasPrefix(sealed, "\x01\x02v1") || strings.Contains(sealed, "text") {
		t.Errorf("sealed as %q", sealed)
	}
	r.want(ok, "open", "data", sealed, "context", outAt, 4, lengthAt)
	if got := r.output(); got != "text" {
		t.Errorf("got %q, want text", got)
	}
	r.want(tooLarge, "open", "data", sealed, "context", outAt, 3, lengthAt)
	r.want(mismatch, "open", "data", sealed, "other", outAt, 4, lengthAt)
	r.want(mismatch, "open", "data", sealed+"x", "context", outAt, 100, lengthAt)
	r.want(badArgument, "open", "data", "text", "context", outAt, 4, lengthAt)
	r.want(notFound, "open", "data", "\x01\x02v2"+sealed[4:], "context", outAt, 4, lengthAt)
	r.want(mismatch, "open", "old", sealed, "context", outAt, 4, lengthAt) // another key
	r.want(notGranted, "seal", "old", "text", "", outAt, 100, lengthAt)
	r.want(notGranted, "seal", "mac", "text", "", outAt, 100, lengthAt)
	r.want(notGranted, "open", "none", sealed, "context", outAt, 4, lengthAt)
}

func TestCryptoSignAndVerify(t *testing.T) {
	r := newCrypto(t)
	r.want(ok, "sign", "mac", "data", outAt, 32, lengthAt)
	signature := r.output()
	r.want(ok, "verify", "mac", "v1", "data", signature)
	r.want(ok, "verify", "mac", "", "data", signature)
	r.want(notFound, "verify", "mac", "v2", "data", signature)
	r.want(mismatch, "verify", "mac", "", "date", signature)
	r.want(mismatch, "verify", "mac", "", "data", "")
	r.want(notGranted, "verify", "data", "", "data", signature)
	r.want(notGranted, "sign", "data", "data", outAt, 32, lengthAt)
	r.want(tooLarge, "sign", "mac", "data", outAt, 31, lengthAt)
	r.want(tooLarge, "verify", "mac", "", "data", strings.Repeat("s", maxSignature+1))
}

// The key and the signature of RFC 8037, A.4.
func TestCryptoVerifyWith(t *testing.T) {
	const (
		jwk    = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	)
	signature, err := hex.DecodeString("860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02")
	if err != nil {
		t.Fatal(err)
	}
	r := newCrypto(t)
	for range 2 { // parsed, and remembered
		r.want(ok, "verify_with", "EdDSA", jwk, signed, string(signature))
		r.want(mismatch, "verify_with", "EdDSA", jwk, signed+"x", string(signature))
	}
	r.want(ok, "check_jwk", "Ed25519", jwk)
	r.want(badArgument, "check_jwk", "ES256", jwk)
	r.want(badArgument, "check_jwk", "HS256", `{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`)
	r.want(badArgument, "check_jwk", "none", jwk)
	r.want(badArgument, "check_jwk", "", "")
	r.want(tooLarge, "check_jwk", "EdDSA", strings.Repeat(" ", keyring.MaxJWKBytes)+jwk)
}

func TestCryptoWithoutKeys(t *testing.T) {
	r := newCrypto(t)
	r.want(ok, "digest", 1, "abc", outAt)
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := hex.EncodeToString([]byte(r.memory(outAt, 32))); got != abc {
		t.Errorf("got %s, want %s", got, abc)
	}
	for _, kind := range []int{0, 4, -1} {
		r.want(badArgument, "digest", kind, "abc", outside-1)
	}
	r.want(1, "equal", "same", "same")
	r.want(0, "equal", "same", "sane")
	r.want(0, "equal", "same", "sam")
	r.want(2, "key_id", "data", outAt, 100)
	if got := r.memory(outAt, 2); got != "v1" {
		t.Errorf("got %q, want v1", got)
	}
	r.want(12, "algorithm", "data", outAt, 0)
	r.want(none, "algorithm", "none", outAt, 100)
	hash, err := bcrypt.GenerateFromPassword([]byte("hush"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r.want(ok, "password_verify", string(hash), "hush")
	r.want(mismatch, "password_verify", string(hash), "hash")
	r.want(badArgument, "password_verify", "hush", "hush")
}

// What a guest draws while it starts its clones would share, so nothing is drawn then.
// Passwords and signatures it may check.
func TestCryptoWithoutAnExchange(t *testing.T) {
	r := newCrypto(t)
	r.instance.Call().Exchange = nil
	r.want(ok, "sign", "mac", "data", outAt, 32, lengthAt)
	r.want(badArgument, "password_verify", "hush", "hush")
	if _, err := r.call("random", outAt, 32); !errors.Is(err, wasm.ErrNoExchange) {
		t.Errorf("got %v, want %v", err, wasm.ErrNoExchange)
	}
}

// Instances of a policy share its keys.
func TestCryptoHammer(t *testing.T) {
	grant := newKeys(t)
	defer grant.Close()
	var workers sync.WaitGroup
	for range 4 {
		r := newRelay(t, Crypto(), &policy.Granted{Keys: grant})
		workers.Go(func() {
			for range 50 {
				r.want(ok, "seal", "data", "text", "", outAt, 100, lengthAt)
				r.want(ok, "open", "data", r.output(), "", outAt, 100, lengthAt)
				r.want(ok, "sign", "mac", "data", outAt, 32, lengthAt)
				r.want(ok, "check_jwk", "EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
			}
		})
	}
	workers.Wait()
}

func FuzzCrypto(f *testing.F) {
	f.Add(uint8(5), uint64(1024<<32|4), uint64(1028<<32|4), uint64(1032<<32|1), uint64(40000<<32|100), uint64(16), []byte("datatextx"))
	f.Add(uint8(6), uint64(1024<<32|4), uint64(1028<<32|40), uint64(1032<<32|1), uint64(40000<<32|100), uint64(16), []byte("data\x01\x02v1"))
	f.Add(uint8(9), uint64(1024<<32|5), uint64(1029<<32|2), uint64(0), uint64(outside), uint64(0), []byte("EdDSA{}"))
	f.Add(uint8(0), uint64(3<<32|1024), uint64(4<<32|65530), uint64(0), uint64(0), uint64(0), []byte{})
	f.Add(uint8(5), uint64(outside<<32|4), ^uint64(0), uint64(0), uint64(0), ^uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e uint64, memory []byte) {
		r := newCrypto(t)
		r.instance.Memory().Write(1024, memory[:min(len(memory), 30<<10)])
		function := r.module.Functions[int(which)%len(r.module.Functions)]
		pairs := []uint64{a >> 32, a & 0xffffffff, b >> 32, b & 0xffffffff, c >> 32, c & 0xffffffff, d >> 32, d & 0xffffffff, e & 0xffffffff}
		pairs = append(pairs, pairs...) // some functions take more
		if _, err := r.callStack(function.Name, pairs[:len(function.Params):len(function.Params)]); err != nil && !isOutside(err) {
			t.Errorf("%s%v: %v", function.Name, pairs, err)
		}
	})
}
