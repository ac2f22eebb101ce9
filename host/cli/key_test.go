package cli

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/keyring"
)

const firstKey, secondKey = "the-first-key-of-the-test-0123456", "the-second-key-of-the-test-012345"

const withKey = `keys = { mac = { key = "mac", use = ["sign"] } }
[key.mac]
algorithm = "HS256"
encoding = "raw"
versions.one = "file:mac.key"
`

// mac signs with the key that the policy has in a generation.
func mac(t *testing.T, key *keyring.Key) []byte {
	t.Helper()
	g := keyring.NewGrant(map[string]keyring.Granted{"mac": {Key: key, May: keyring.Sign}}, keyring.NewGate())
	defer g.Close()
	signature, err := g.Sign(keyring.Turn{Context: t.Context()}, []byte("mac"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func macOf(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	return h.Sum(nil)
}

// A swap that finds another key in the file loads the policies that use it anew,
// although the manifest is the same; when the last generation with the old one has
// ended, the old one is zeroed. Neither shows anywhere.
func TestKeysChangeWithASwap(t *testing.T) {
	manifest := countingFolder(t, "1", withKey)
	text := replaceOnce(t, countingText("1", withKey), `grants = ["ergo_kv"]`, `grants = ["ergo_kv", "ergo_crypto"]`)
	text = replaceOnce(t, text, "watch = false", "watch = false\nkeep_generations = 0")
	writeFile(t, manifest, text)
	file := filepath.Join(filepath.Dir(manifest), "mac.key")
	writeFile(t, file, firstKey)
	var log buffer
	h := startForTest(t, manifest, Streams{io.Discard, &log})

	before := h.engine.Manifest().GrantedKeys("count", nil)["mac"].Key
	before.Retain() // so that it can be used until it is let go of here
	if got := mac(t, before); !bytes.Equal(got, macOf([]byte(firstKey))) {
		t.Fatalf("another key was read: %x", got)
	}
	same, err := h.control.Swap(t.Context(), "test", engine.Source{})
	if err != nil || same.Loaded != 0 {
		t.Errorf("nothing has changed, and %+v, %v", same, err)
	}
	writeFile(t, file, secondKey)
	change, err := h.control.Swap(t.Context(), "test", engine.Source{})
	if err != nil || change.Loaded != 1 || !slices.Contains(change.Changes, "key: settings changed") {
		t.Errorf("another key, and %+v, %v", change, err)
	}
	if got := mac(t, h.engine.Manifest().GrantedKeys("count", nil)["mac"].Key); !bytes.Equal(got, macOf([]byte(secondKey))) {
		t.Errorf("another key is used: %x", got)
	}
	if got := mac(t, before); !bytes.Equal(got, macOf([]byte(firstKey))) {
		t.Error("the key was zeroed while it was retained")
	}
	writeFile(t, file, "short")
	if _, err := h.control.Swap(t.Context(), "test", engine.Source{}); err == nil || !strings.Contains(err.Error(), "key.mac.versions.one: has 5 bytes") {
		t.Errorf("a weak key: %v", err)
	}
	wantHidden(t, h, manifest, &log)

	before.Release()
	for deadline := time.Now().Add(10 * time.Second); !bytes.Equal(mac(t, before), macOf(make([]byte, len(firstKey)))); {
		if time.Now().After(deadline) {
			t.Fatal("the old key is not zeroed")
		}
		time.Sleep(time.Millisecond)
	}
}

// wantHidden looks for the keys in all that a host tells and writes.
func wantHidden(t *testing.T, h *host, manifest string, log *buffer) {
	t.Helper()
	h.log.Flush()
	status, err := json.Marshal(h.engine.Status())
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"log": log.String(), "dump": string(h.engine.Manifest().Redacted()), "status": string(status)}
	err = filepath.WalkDir(filepath.Dir(manifest), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, "mac.key") {
			return err
		}
		text, err := os.ReadFile(path)
		places[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range places {
		for _, key := range []string{firstKey, secondKey, hexadecimal([]byte(firstKey))} {
			if strings.Contains(text, key) {
				t.Errorf("%s shows a key", place)
			}
		}
	}
	if len(places) < 6 {
		t.Errorf("only %d places", len(places))
	}
}
