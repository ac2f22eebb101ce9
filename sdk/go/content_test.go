//go:build !wasip1

package guest

import (
	"errors"
	"testing"
)

func TestContentKeys(t *testing.T) {
	f := NewFake("GET", "/")
	uses := []string{"wrap", "unwrap"}
	f.Keys = []FakeKey{
		{"kw", "A256KW", []string{"one"}, uses}, {"ec", "ECDH-ES", []string{"one"}, uses},
		{"direct", "A256GCM", []string{"one"}, uses}, {"mac", "HS256", []string{"one"}, []string{"sign"}},
	}
	f.Run(func() {
		for _, name := range []string{"kw", "ec", "direct"} {
			key, w, err := NewContentKey(name, "A256GCM")
			if err != nil || (len(w.EPK) > 0) != (name == "ec") || (len(w.Encrypted) > 0) != (name == "kw") {
				t.Fatalf("%s: got %+v, %v", name, w, err)
			}
			out, err := key.Encrypt([]byte("content"), []byte("header"))
			if err != nil {
				t.Fatal(err)
			}
			key.Drop()
			nonce, ciphertext, tag := out[:12], out[12:len(out)-16], out[len(out)-16:]
			again, err := UnwrapContentKey(name, "one", "A256GCM", w.Encrypted, Agreement{EPK: string(w.EPK)})
			if err != nil {
				t.Fatal(err)
			}
			if text, err := again.Decrypt(nonce, ciphertext, tag, []byte("header")); err != nil || string(text) != "content" {
				t.Errorf("%s: got %q, %v, want content", name, text, err)
			}
			if _, err := again.Decrypt(nonce, ciphertext, tag, nil); !errors.Is(err, ErrMismatch) {
				t.Errorf("%s: got %v, want %v", name, err, ErrMismatch)
			}
			if _, err := again.Wrap("direct", "A256GCM"); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%s: got %v, want %v", name, err, ErrBadArgument)
			}
			again.Drop()
			if _, err := again.Encrypt(nil, nil); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: got %v, want %v", name, err, ErrNotFound)
			}
		}
		if _, err := UnwrapContentKey("kw", "two", "A256GCM", nil, Agreement{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want %v", err, ErrNotFound)
		}
		if _, _, err := NewContentKey("mac", "A256GCM"); !errors.Is(err, ErrKeyUse) {
			t.Errorf("got %v, want %v", err, ErrKeyUse)
		}
	})
	if len(f.ContentKeys) != 0 {
		t.Errorf("%d keys are left", len(f.ContentKeys))
	}
}
