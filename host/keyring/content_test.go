package keyring

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

// A version that could not be asked may be the one: without it the message is not
// known to be forged.
func TestUnwrapAsksEveryVersionOrNone(t *testing.T) {
	const algorithm = "RSA-OAEP-256"
	var versions []*Version
	for _, id := range []string{"new", "old"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Parse(algorithm, "pem", id, pemOf(t, key))
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	grant := grantOf(t, map[string]*Key{"k": NewKey(algorithm, versions...)})
	enc := []byte("A256GCM")
	made, w, err := grant.Wrap([]byte("k"), enc, nil)
	if err != nil {
		t.Fatal(err)
	}
	made.Wipe()

	for last := 1; last <= len(versions); last++ {
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		turn := Turn{Context: ctx, Wait: func() {
			if asked++; asked == last {
				cancel()
			}
		}}
		_, err = grant.Unwrap(turn, []byte("k"), nil, enc, w.Encrypted, Agreement{})
		is(t, "the exchange ends", err, ErrTimeout)
	}
	key, err := grant.Unwrap(soon(t), []byte("k"), nil, enc, w.Encrypted, Agreement{})
	if is(t, "in time", err, nil); err == nil {
		key.Wipe()
	}
}
