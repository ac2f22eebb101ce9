package policies

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// peer is another implementation of what field-crypt's README.md says of encrypted
// values, for one key of the tests.
type peer struct {
	id       string
	material []byte
}

// peers are the keys in field-crypt/testdata.
func peers(t testing.TB) (data, older, search peer) {
	t.Helper()
	return readPeer(t, "2026-11", "data-2026-11"), readPeer(t, "2026-10", "data-2026-10"), readPeer(t, "s1", "search")
}

func readPeer(t testing.TB, id, file string) peer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("field-crypt", "testdata", file+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	material, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return peer{id, material}
}

// header is what the host puts before sealed bytes and binds them to.
func (p peer) header() []byte { return append([]byte{1, byte(len(p.id))}, p.id...) }

// bound is the associated data of a field; context has names and values in turn.
func bound(field string, context ...string) []byte {
	var b []byte
	for _, part := range append([]string{"ergo field-crypt 1", field}, context...) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// encrypt returns the JSON string for a JSON value. Without a nonce it is AES-SIV.
func (p peer) encrypt(value string, nonce, bound []byte) string {
	bound = append(p.header(), bound...)
	var sealed []byte
	if len(nonce) == 0 {
		sealed = sealSIV(p.material, bound, []byte(value))
	} else {
		aead, err := chacha20poly1305.NewX(p.material)
		if err != nil {
			panic(err)
		}
		sealed = aead.Seal(nonce, nonce, []byte(value), bound)
	}
	return `"efc1:` + p.id + ":" + base64.RawURLEncoding.EncodeToString(sealed) + `"`
}

// decrypt returns the JSON value of a JSON string that XChaCha20-Poly1305 made.
func (p peer) decrypt(token string, bound []byte) (string, error) {
	text, found := strings.CutPrefix(token, `"efc1:`+p.id+":")
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(text, `"`))
	if !found || err != nil || len(sealed) < chacha20poly1305.NonceSizeX {
		return "", errors.New("not a value of this key: " + token)
	}
	aead, err := chacha20poly1305.NewX(p.material)
	if err != nil {
		return "", err
	}
	nonce, rest := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	value, err := aead.Open(nil, nonce, rest, append(p.header(), bound...))
	return string(value), err
}

// sealSIV is AES-SIV (RFC 5297) with one header, written from the RFC.
func sealSIV(key, header, plaintext []byte) []byte {
	half := len(key) / 2
	mac, ctr := block(key[:half]), block(key[half:])
	d := cmac(mac, make([]byte, aes.BlockSize))
	shift(d)
	subtle.XORBytes(d, d, cmac(mac, header))
	var v []byte
	if n := len(plaintext); n >= aes.BlockSize {
		last := slices.Clone(plaintext)
		subtle.XORBytes(last[n-aes.BlockSize:], last[n-aes.BlockSize:], d)
		v = cmac(mac, last)
	} else {
		shift(d)
		padded := append(slices.Clone(plaintext), 0x80)
		padded = append(padded, make([]byte, aes.BlockSize-len(padded))...)
		subtle.XORBytes(padded, padded, d)
		v = cmac(mac, padded)
	}
	q := slices.Clone(v)
	q[8] &= 0x7f
	q[12] &= 0x7f
	sealed := append(v, plaintext...)
	cipher.NewCTR(ctr, q).XORKeyStream(sealed[aes.BlockSize:], sealed[aes.BlockSize:])
	return sealed
}

// cmac is AES-CMAC (RFC 4493).
func cmac(b cipher.Block, message []byte) []byte {
	k := make([]byte, aes.BlockSize)
	b.Encrypt(k, k)
	shift(k)
	message = slices.Clone(message)
	if len(message) == 0 || len(message)%aes.BlockSize != 0 {
		shift(k)
		message = append(message, 0x80)
		for len(message)%aes.BlockSize != 0 {
			message = append(message, 0)
		}
	}
	last := message[len(message)-aes.BlockSize:]
	subtle.XORBytes(last, last, k)
	x := make([]byte, aes.BlockSize)
	for chunk := range slices.Chunk(message, aes.BlockSize) {
		subtle.XORBytes(x, x, chunk)
		b.Encrypt(x, x)
	}
	return x
}

// shift doubles a block in GF(2^128).
func shift(block []byte) {
	carry := block[0] >> 7
	for i := range block {
		block[i] <<= 1
		if i+1 < len(block) {
			block[i] |= block[i+1] >> 7
		}
	}
	block[len(block)-1] ^= carry * 0x87
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return b
}
