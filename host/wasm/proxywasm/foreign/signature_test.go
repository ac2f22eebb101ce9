package foreign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
)

const signedText = "Ergo signs this."

//go:embed testdata/signatures.txt
var signatures string

// keys are read from testdata: as PEM, as an older PEM, and as DER.
type keys struct{ public, private, old, publicDER, privateDER []byte }

func readKeys(t testing.TB, name string) (k keys) {
	t.Helper()
	read := func(suffix string) []byte {
		text, err := os.ReadFile("testdata/" + name + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	k.public, k.private, k.old = read(".pub.pem"), read(".pem"), read(".old.pem")
	public, _ := pem.Decode(k.public)
	private, _ := pem.Decode(k.private)
	k.publicDER, k.privateDER = public.Bytes, private.Bytes
	return k
}

func verifyArguments(hash string, der, text, signature []byte, signed string) []byte {
	args := appendBytes(nil, 1, []byte(hash))
	if der != nil {
		args = appendBytes(args, 2, der)
	}
	args = appendBytes(appendBytes(args, 3, signature), 4, []byte(signed))
	if text != nil {
		args = appendBytes(args, 5, text)
	}
	return args
}

func signArguments(hash string, der, text []byte, signed string) []byte {
	args := appendBytes(nil, 1, []byte(hash))
	if der != nil {
		args = appendBytes(args, 2, der)
	}
	args = appendBytes(args, 3, []byte(signed))
	if text != nil {
		args = appendBytes(args, 4, text)
	}
	return args
}

// Signatures of openssl are verified, and RSA's, which are always the same, made.
func TestKnownSignatures(t *testing.T) {
	f, s := new(Functions), newSource()
	n := 0
	for line := range strings.Lines(signatures) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		n++
		name, hash := words[0], words[1]
		k := readKeys(t, name)
		signature, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			t.Fatal(err)
		}
		const valid = "\x08\x01"
		mismatch := "\x12\x18signature does not match"
		want(t, f, s, "verify_signature", verifyArguments(hash, k.publicDER, nil, signature, signedText), OK, valid)
		want(t, f, s, "verify_signature", verifyArguments(strings.ToUpper(hash), nil, k.public, signature, signedText), OK, valid)
		want(t, f, s, "verify_signature", verifyArguments(hash, k.publicDER, nil, signature, signedText+"!"), OK, mismatch)
		want(t, f, s, "verify_signature", verifyArguments(hash, k.publicDER, nil, signature[1:], signedText), OK, mismatch)
		for _, args := range [][]byte{
			signArguments(hash, k.privateDER, nil, signedText), signArguments(hash, nil, k.private, signedText), signArguments(hash, nil, k.old, signedText),
		} {
			result, status := f.Call("sign", args, s)
			m, ok := decode(result)
			if status != OK || !ok || m.number[1] != 1 || len(m.bytes[3]) != 0 {
				t.Fatalf("sign by %s with %s: %q, status %d", name, hash, result, status)
			}
			if name == "rsa" && !bytes.Equal(m.bytes[2], signature) {
				t.Errorf("rsa with %s: %x, want %x", hash, m.bytes[2], signature)
			}
			want(t, f, s, "verify_signature", verifyArguments(hash, k.publicDER, nil, m.bytes[2], signedText), OK, valid)
		}
	}
	if n != 10 {
		t.Errorf("%d signatures were tried, want 10", n)
	}
}

func TestHashesThatAreNotSupported(t *testing.T) {
	k := readKeys(t, "ec")
	for _, hash := range []string{"", "md5", "sha3-256", "sha-256"} {
		want(t, new(Functions), newSource(), "verify_signature", verifyArguments(hash, k.publicDER, nil, nil, ""), OK, "\x12\x1ehash function is not supported")
		want(t, new(Functions), newSource(), "sign", signArguments(hash, k.privateDER, nil, ""), OK, "\x1a\x1ehash function is not supported")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	k := readKeys(t, "ec")
	for _, args := range [][]byte{
		nil, []byte("no message"),
		verifyArguments("sha256", nil, nil, nil, ""),
		verifyArguments("sha256", k.publicDER, k.public, nil, ""), // which of them?
		verifyArguments("sha256", k.publicDER[1:], nil, nil, ""),
		verifyArguments("sha256", k.privateDER, nil, nil, ""),
		verifyArguments("sha256", nil, k.private, nil, ""),
		verifyArguments("sha256", nil, []byte("no PEM"), nil, ""),
		verifyArguments("sha256", make([]byte, maxKeyBytes+1), nil, nil, ""),
	} {
		want(t, new(Functions), newSource(), "verify_signature", args, BadArgument, "")
	}
	for _, args := range [][]byte{
		nil, []byte("no message"),
		signArguments("sha256", nil, nil, ""),
		signArguments("sha256", k.privateDER, k.private, ""),
		signArguments("sha256", k.publicDER, nil, ""),
		signArguments("sha256", nil, k.public, ""),
		signArguments("sha256", nil, []byte("no PEM"), ""),
		signArguments("sha256", make([]byte, maxKeyBytes+1), nil, ""),
	} {
		want(t, new(Functions), newSource(), "sign", args, BadArgument, "")
	}
}

func TestKeysOfOtherKinds(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, _ := x509.MarshalPKIXPublicKey(public)
	privateDER, _ := x509.MarshalPKCS8PrivateKey(private)
	want(t, new(Functions), newSource(), "verify_signature", verifyArguments("sha256", publicDER, nil, nil, ""), OK, "\x12\x1ekey cannot be used with a hash")
	want(t, new(Functions), newSource(), "sign", signArguments("sha256", privateDER, nil, ""), OK, "\x1a\x1ekey cannot be used with a hash")
}

// A guest cannot keep the host at work by a key that is very long.
func TestLongKeys(t *testing.T) {
	n := make([]byte, maxVerifyBits/8+1)
	n[0], n[len(n)-1] = 1, 1
	long := &rsa.PublicKey{E: 65537}
	long.N = new(big.Int).SetBytes(n)
	der, err := x509.MarshalPKIXPublicKey(long)
	if err != nil {
		t.Fatal(err)
	}
	want(t, new(Functions), newSource(), "verify_signature", verifyArguments("sha256", der, nil, nil, ""), BadArgument, "")
}

func BenchmarkSignature(b *testing.B) {
	for _, name := range []string{"rsa", "ec"} {
		k, s, f := readKeys(b, name), newSource(), new(Functions)
		args := signArguments("sha256", k.privateDER, nil, signedText)
		result, _ := f.Call("sign", args, s)
		m, _ := decode(result)
		check := verifyArguments("sha256", k.publicDER, nil, m.bytes[2], signedText)
		b.Run("sign "+name, func(b *testing.B) {
			for b.Loop() {
				f.Call("sign", args, s)
			}
		})
		b.Run("verify "+name, func(b *testing.B) {
			for b.Loop() {
				f.Call("verify_signature", check, s)
			}
		})
	}
}
