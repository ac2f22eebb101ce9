//go:build !wasip1

package guest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// fakeContent are the algorithms for content, and the lengths of nonce and tag.
var fakeContent = map[string][2]int{
	"A128GCM": {12, 16}, "A192GCM": {12, 16}, "A256GCM": {12, 16},
	"A128CBC-HS256": {16, 16}, "A192CBC-HS384": {16, 24}, "A256CBC-HS512": {16, 32},
}

// isDirect reports whether what is wrapped is the content's key itself.
func (k *FakeKey) isDirect() bool {
	_, content := fakeContent[k.Algorithm]
	return content || k.Algorithm == "ECDH-ES"
}

func (k *FakeKey) agrees() bool { return strings.HasPrefix(k.Algorithm, "ECDH-ES") }

// keepContentKey keeps what a new key encrypts with and returns its handle.
func (f *Fake) keepContentKey(enc string) uint32 {
	if f.ContentKeys == nil {
		f.ContentKeys = map[uint32]string{}
	}
	f.lastContentKey++
	f.ContentKeys[f.lastContentKey] = enc
	return f.lastContentKey
}

func hostWrap(name, enc string, handle *uint32, buf []byte) (length, status uint32) {
	k, status := current.key(name, "wrap")
	_, known := fakeContent[enc]
	switch {
	case status != 0:
		return 0, status
	case !known || *handle != 0 && k.isDirect():
		return 0, 2
	}
	var epk, encrypted string
	if k.agrees() {
		epk = `{"kty":"EC","crv":"P-256"}`
	}
	if !k.isDirect() {
		encrypted = "encrypted"
	}
	if *handle == 0 {
		*handle = current.keepContentKey(enc)
	}
	out := binary.LittleEndian.AppendUint16(nil, uint16(len(epk)))
	return fakeOutput(append(append(out, epk...), encrypted...), buf)
}

func hostUnwrap(name, id, enc string, encrypted []byte, agreement string) (handle, status uint32) {
	k, status := current.key(name, "unwrap")
	_, known := fakeContent[enc]
	switch {
	case status != 0:
		return 0, status
	case id != "" && !slices.Contains(k.IDs, id):
		return 0, 1
	case !known || k.agrees() != strings.HasPrefix(agreement, "{"):
		return 0, 2
	case k.isDirect() != (len(encrypted) == 0) || len(encrypted) > 0 && string(encrypted) != "encrypted":
		return 0, 13
	}
	return current.keepContentKey(enc), 0
}

func hostEncrypt(handle uint32, content, associated, buf []byte) (length, status uint32) {
	enc, open := current.ContentKeys[handle]
	if !open {
		return 0, 1
	}
	sizes := fakeContent[enc]
	out := append(make([]byte, sizes[0]), content...)
	return fakeOutput(append(out, fakeTag([]byte(enc), content, associated)[:sizes[1]]...), buf)
}

func hostDecrypt(handle uint32, nonce, ciphertext, tag, associated, buf []byte) (length, status uint32) {
	enc, open := current.ContentKeys[handle]
	if !open {
		return 0, 1
	}
	sizes := fakeContent[enc]
	right := fakeTag([]byte(enc), ciphertext, associated)[:sizes[1]]
	if !bytes.Equal(nonce, make([]byte, sizes[0])) || !bytes.Equal(tag, right) {
		return 0, 13
	}
	return fakeOutput(ciphertext, buf)
}

func hostDropKey(handle uint32) uint32 {
	delete(current.ContentKeys, handle)
	return 0
}
