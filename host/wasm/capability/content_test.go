package capability

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/policy"
)

// Private keys of RFC 7518, C: Bob's, and a wrapping key.
const (
	bob = `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
		"y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`
	secretBytes = "0123456789abcdefghijklmnopqrstuv"
)

// newWrapping grants "kw" of A256KW, "dir" of A256GCM and "ec" of ECDH-ES.
func newWrapping(t testing.TB) *relay {
	t.Helper()
	granted := map[string]keyring.Granted{}
	for name, k := range map[string][3]string{
		"kw": {"A256KW", "raw", secretBytes}, "dir": {"A256GCM", "raw", secretBytes}, "ec": {"ECDH-ES", "jwk", bob},
	} {
		version, err := keyring.Parse(k[0], k[1], "v1", []byte(k[2]))
		if err != nil {
			t.Fatal(err)
		}
		key := keyring.NewKey(k[0], version)
		defer key.Release()
		granted[name] = keyring.Granted{Key: key, May: keyring.Wrap | keyring.Unwrap}
	}
	grant := keyring.NewGrant(granted, keyring.NewGate())
	t.Cleanup(grant.Close)
	return newRelay(t, Crypto(), &policy.Granted{Keys: grant})
}

const keyAt = 64

func (r *relay) handle() int {
	n, _ := r.instance.Memory().ReadUint32Le(keyAt)
	return int(n)
}

// wrap makes a key for content and returns what a message carries of it.
func (r *relay) wrap(name, enc string) (epk, encrypted string) {
	r.t.Helper()
	r.instance.Memory().WriteUint32Le(keyAt, 0)
	r.want(ok, "wrap", name, enc, keyAt, outAt, 2000, lengthAt)
	out := r.output()
	n := 2 + int(binary.LittleEndian.Uint16([]byte(out)))
	return out[2:n], out[n:]
}

func TestContentKeys(t *testing.T) {
	r := newWrapping(t)
	for _, c := range []struct {
		name, enc  string
		nonce, tag int
	}{{"kw", "A256GCM", 12, 16}, {"kw", "A256CBC-HS512", 16, 32}, {"dir", "A256GCM", 12, 16}, {"ec", "A128CBC-HS256", 16, 16}} {
		epk, encrypted := r.wrap(c.name, c.enc)
		if agreed := c.name == "ec"; agreed != json.Valid([]byte(epk)) || agreed && encrypted != "" {
			t.Errorf("%s: epk %q, encrypted key %q", c.name, epk, encrypted)
		}
		r.want(ok, "encrypt", r.handle(), "content", "header", outAt, 200, lengthAt)
		out := r.output()
		if strings.Contains(out, "content") {
			t.Errorf("%s: the content shows in %q", c.name, out)
		}
		nonce, ciphertext, tag := out[:c.nonce], out[c.nonce:len(out)-c.tag], out[len(out)-c.tag:]
		r.want(ok, "drop", r.handle())
		r.want(notFound, "drop", r.handle())
		r.want(notFound, "encrypt", r.handle(), "content", "header", outAt, 200, lengthAt)

		r.want(ok, "unwrap", c.name, "v1", c.enc, encrypted, epk, keyAt)
		r.want(ok, "decrypt", r.handle(), nonce, ciphertext, tag, "header", outAt, 200, lengthAt)
		if got := r.output(); got != "content" {
			t.Errorf("%s: got %q, want content", c.name, got)
		}
		r.want(mismatch, "decrypt", r.handle(), nonce, ciphertext, tag, "Header", outAt, 200, lengthAt)
		r.want(mismatch, "decrypt", r.handle(), nonce, ciphertext+tag[:1], tag[1:], "header", outAt, 200, lengthAt)
		r.want(mismatch, "decrypt", r.handle(), "", ciphertext, tag, "header", outAt, 200, lengthAt)
		r.want(tooLarge, "decrypt", r.handle(), nonce, ciphertext, tag, "header", outAt, 6, lengthAt)
		r.want(ok, "drop", r.handle())
	}
}

func TestUnwrapRefuses(t *testing.T) {
	r := newWrapping(t)
	epk, _ := r.wrap("ec", "A256GCM")
	_, encrypted := r.wrap("kw", "A256GCM")
	other := `{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}`
	for _, c := range []struct {
		name, id, enc, encrypted, agreement string
		want                                uint64
	}{
		{"none", "", "A256GCM", encrypted, "", notGranted},
		{"kw", "v2", "A256GCM", encrypted, "", notFound},
		{"kw", "", "A999GCM", encrypted, "", badArgument},
		{"kw", "", "A128GCM", encrypted, "", mismatch},
		{"kw", "", "A256GCM", encrypted[:39], "", mismatch},
		{"kw", "", "A256GCM", "x" + encrypted[1:], "", mismatch},
		{"kw", "", "A256GCM", strings.Repeat("x", maxEncryptedKey+1), "", tooLarge},
		{"dir", "", "A256GCM", "x", "", badArgument},
		{"dir", "", "A128GCM", "", "", badArgument},
		{"ec", "", "A256GCM", "", "", badArgument},
		{"ec", "", "A256GCM", "", other, badArgument},
		{"ec", "", "A256GCM", "", bob, badArgument}, // with its private half
		{"ec", "", "A256GCM", "x", epk, badArgument},
		{"ec", "", "A256GCM", "", epk + "\x00=\x00", badArgument},
		{"ec", "", "A256GCM", "", epk + "\x00QQ\x00Qg\x00", badArgument},
		{"ec", "", "A256GCM", "", epk + "\x00QQ\x00Qg", ok},
	} {
		r.want(c.want, "unwrap", c.name, c.id, c.enc, c.encrypted, c.agreement, keyAt)
	}
}

// A second recipient is told the same key, if it can be told one.
func TestWrapForTwo(t *testing.T) {
	r := newWrapping(t)
	_, first := r.wrap("kw", "A256GCM")
	r.want(ok, "wrap", "kw", "A256GCM", keyAt, outAt, 2000, lengthAt)
	if second := r.output()[2:]; second != first { // AES Key Wrap is deterministic
		t.Errorf("another key: %x, want %x", second, first)
	}
	r.want(badArgument, "wrap", "kw", "A128GCM", keyAt, outAt, 2000, lengthAt)
	r.want(badArgument, "wrap", "dir", "A256GCM", keyAt, outAt, 2000, lengthAt)
	r.want(badArgument, "wrap", "ec", "A256GCM", keyAt, outAt, 2000, lengthAt)
	r.want(tooLarge, "wrap", "kw", "A256GCM", keyAt, outAt, 10, lengthAt)
	r.instance.Memory().WriteUint32Le(keyAt, 99)
	r.want(notFound, "wrap", "kw", "A256GCM", keyAt, outAt, 2000, lengthAt)
}

// Keys end with their exchange, and there is no room for more than may be.
func TestContentKeysAreBounded(t *testing.T) {
	r := newWrapping(t)
	for range maxContentKeys {
		r.wrap("kw", "A256GCM")
	}
	r.instance.Memory().WriteUint32Le(keyAt, 0)
	r.want(noRoom, "wrap", "kw", "A256GCM", keyAt, outAt, 2000, lengthAt)
	r.want(noRoom, "unwrap", "dir", "", "A256GCM", "", "", keyAt)
	call := r.instance.Call()
	call.Leave(new(exchange.Exchange))
	r.want(noRoom, "unwrap", "dir", "", "A256GCM", "", "", keyAt)
	call.Leave(call.Exchange)
	for handle := range maxContentKeys + 1 {
		r.want(notFound, "encrypt", handle, "", "", outAt, 200, lengthAt)
	}
	r.want(ok, "unwrap", "dir", "", "A256GCM", "", "", keyAt)
	if r.handle() != maxContentKeys+1 {
		t.Errorf("handle %d was given before", r.handle())
	}
}

func FuzzContent(f *testing.F) {
	f.Add(uint8(0), "kw", "", "A256GCM", "", "", 64, 32<<10)
	f.Add(uint8(1), "ec", "v1", "A256GCM", "", `{"kty":"EC"}`, 64, 0)
	f.Add(uint8(1), "dir", "", "A256GCM", "", "\x00\x00", 64, 0)
	f.Add(uint8(2), "", "", "", "text", "header", 64, 0)
	f.Add(uint8(3), "123456789012", "c", "1234567890123456", "header", "", 64, outside)
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e string, at, out int) {
		if len(a)+len(b)+len(c)+len(d)+len(e) > 30<<10 {
			t.Skip()
		}
		r := newWrapping(t)
		r.wrap("dir", "A256GCM")
		handle := r.handle()
		r.instance.Memory().WriteUint32Le(keyAt, 0)
		call := [][]any{
			{"wrap", a, c, at, out, 2000, lengthAt},
			{"unwrap", a, b, c, d, e, at},
			{"encrypt", handle, d, e, out, 200, lengthAt},
			{"decrypt", handle, a, b, c, d, out, 200, lengthAt},
			{"drop", at},
		}[which%5]
		if _, err := r.call(call[0].(string), call[1:]...); err != nil && !isOutside(err) {
			t.Errorf("%v: %v", call, err)
		}
	})
}
