//go:build !wasip1

package guest

import (
	"errors"
	"strings"
	"testing"
)

func TestCrypto(t *testing.T) {
	f := NewFake("GET", "/")
	f.Keys = []FakeKey{
		{"data", "XAES-256-GCM", []string{"old", "new"}, []string{"seal", "open"}},
		{"jwt", "HS256", []string{"one"}, []string{"sign", "verify"}},
	}
	f.Run(func() {
		is := func(err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		sealed, err := Seal("data", []byte("text"), []byte("context"))
		is(err, nil)
		if id, ok := SealedWith(sealed); id != "new" || !ok {
			t.Errorf("sealed with %q, want new", id)
		}
		opened, err := Open("data", sealed, []byte("context"))
		is(err, nil)
		if string(opened) != "text" {
			t.Errorf("got %q, want text", opened)
		}
		_, err = Open("data", sealed, nil)
		is(err, ErrMismatch)
		_, err = Open("data", []byte("text"), nil)
		is(err, ErrBadArgument)
		_, err = Open("data", []byte("\x01\x03gone"), nil)
		is(err, ErrNotFound)
		_, err = Seal("jwt", nil, nil)
		is(err, ErrKeyUse)

		signature, err := Sign("jwt", []byte("data"))
		is(err, nil)
		is(Verify("jwt", "one", []byte("data"), signature), nil)
		is(Verify("jwt", "", []byte("data"), signature), nil)
		is(Verify("jwt", "", []byte("date"), signature), ErrMismatch)
		is(Verify("jwt", "two", []byte("data"), signature), ErrNotFound)
		is(Verify("data", "", nil, nil), ErrKeyUse)
		jwk := []byte(`{"kty":"RSA"}`)
		is(VerifyWith("RS256", jwk, []byte("data"), FakeSignature("RS256", jwk, []byte("data"))), nil)
		is(VerifyWith("RS512", jwk, []byte("data"), FakeSignature("RS256", jwk, []byte("data"))), ErrMismatch)
		is(VerifyWith("RS256", nil, nil, nil), ErrBadArgument)
		is(CheckJWK("HS256", jwk), ErrBadArgument)
		is(PasswordVerify("fake:hush", []byte("hush")), nil)
		is(PasswordVerify("fake:hush", []byte("hash")), ErrMismatch)
		is(PasswordVerify("hush", []byte("hush")), ErrBadArgument)
		_, err = Digest(0, nil)
		is(err, ErrBadArgument)
	})
}

func TestKeysAreTold(t *testing.T) {
	f := NewFake("GET", "/")
	f.Keys = []FakeKey{{"data", "XAES-256-GCM", []string{"old", "new"}, nil}}
	f.Run(func() {
		id, granted := KeyID("data")
		algorithm, known := KeyAlgorithm("data")
		if id != "new" || !granted || algorithm != "XAES-256-GCM" || !known {
			t.Errorf("got %q, %v, %q, %v", id, granted, algorithm, known)
		}
		if _, granted := KeyID("other"); granted {
			t.Error("a key that is not granted has an id")
		}
	})
}

func TestSealedWithReadsNoOtherForm(t *testing.T) {
	for _, other := range []string{"", "\x01", "\x02\x01a", "\x01\x00", "\x01\x02a", "\x01\x41" + strings.Repeat("a", 65)} {
		if id, ok := SealedWith([]byte(other)); ok {
			t.Errorf("%q was sealed with %q", other, id)
		}
	}
}

func TestDigestAndEqual(t *testing.T) {
	f := NewFake("GET", "/")
	f.Run(func() {
		for kind, size := range map[DigestKind]int{SHA256: 32, SHA384: 48, SHA512: 64} {
			if sum, err := Digest(kind, []byte("data")); len(sum) != size || err != nil {
				t.Errorf("got %d bytes, %v, want %d", len(sum), err, size)
			}
		}
		if !Equal([]byte("a"), []byte("a")) || Equal([]byte("a"), []byte("b")) || Equal([]byte("a"), nil) {
			t.Error("Equal does not tell")
		}
	})
}
