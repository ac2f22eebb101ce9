//go:build !wasip1

package guest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"slices"
	"strings"
)

// FakeKey is a key that the host of a test uses for the policy.
type FakeKey struct {
	Name, Algorithm string
	IDs             []string // of its versions; the last is the primary
	Uses            []string // "seal", "open", "sign", "verify", "wrap", "unwrap"
}

func (k *FakeKey) primary() string { return k.IDs[len(k.IDs)-1] }

// FakeSignature is what a Fake signs with and takes: key is the id of a version, or
// the text of a JWK. What a Fake seals can be read.
func FakeSignature(algorithm string, key, data []byte) []byte {
	return fakeTag([]byte(algorithm), key, data)
}

func fakeTag(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

// key returns a key and 0, or a status; use "" is any.
func (f *Fake) key(name, use string) (*FakeKey, uint32) {
	for i, k := range f.Keys {
		if k.Name == name && (use == "" || slices.Contains(k.Uses, use)) {
			return &f.Keys[i], 0
		}
	}
	return nil, 5
}

func hostDigest(kind uint32, data, sum []byte) uint32 {
	switch DigestKind(kind) {
	case SHA256:
		made := sha256.Sum256(data)
		copy(sum, made[:])
	case SHA384:
		made := sha512.Sum384(data)
		copy(sum, made[:])
	case SHA512:
		made := sha512.Sum512(data)
		copy(sum, made[:])
	}
	return 0
}

func hostEqual(a, b []byte) uint32 {
	if hmac.Equal(a, b) {
		return 1
	}
	return 0
}

func hostCryptoRandom(b []byte) { drawRandom(b) }

func hostKeyID(name string, buf []byte) uint32 {
	if k, _ := current.key(name, ""); k != nil {
		return give(k.primary(), buf)
	}
	return none
}

func hostKeyAlgorithm(name string, buf []byte) uint32 {
	if k, _ := current.key(name, ""); k != nil {
		return give(k.Algorithm, buf)
	}
	return none
}

func hostSeal(name string, plaintext, associated, buf []byte) (length, status uint32) {
	k, status := current.key(name, "seal")
	if status != 0 {
		return 0, status
	}
	header := append([]byte{1, byte(len(k.primary()))}, k.primary()...)
	sealed := slices.Concat(header, plaintext, fakeTag(header, associated, plaintext))
	return fakeOutput(sealed, buf)
}

func fakeOutput(out, buf []byte) (length, status uint32) {
	if length = give(string(out), buf); int(length) > len(buf) {
		status = 8
	}
	return length, status
}

func hostOpen(name string, sealed, associated, buf []byte) (length, status uint32) {
	k, status := current.key(name, "open")
	if status != 0 {
		return 0, status
	}
	id, ok := SealedWith(sealed)
	switch {
	case !ok:
		return 0, 2
	case !slices.Contains(k.IDs, id):
		return 0, 1
	}
	header, rest := sealed[:2+len(id)], sealed[2+len(id):]
	if len(rest) < sha256.Size {
		return 0, 13
	}
	plaintext, tag := rest[:len(rest)-sha256.Size], rest[len(rest)-sha256.Size:]
	if !hmac.Equal(tag, fakeTag(header, associated, plaintext)) {
		return 0, 13
	}
	return fakeOutput(plaintext, buf)
}

func hostSign(name string, data, buf []byte) (length, status uint32) {
	k, status := current.key(name, "sign")
	if status != 0 {
		return 0, status
	}
	return fakeOutput(FakeSignature(k.Algorithm, []byte(k.primary()), data), buf)
}

func hostVerify(name, id string, data, signature []byte) uint32 {
	k, status := current.key(name, "verify")
	if status != 0 {
		return status
	}
	ids := k.IDs
	if id != "" {
		if !slices.Contains(ids, id) {
			return 1
		}
		ids = []string{id}
	}
	if slices.ContainsFunc(ids, func(id string) bool {
		return hmac.Equal(signature, FakeSignature(k.Algorithm, []byte(id), data))
	}) {
		return 0
	}
	return 13
}

func hostVerifyWith(algorithm string, jwk, data, signature []byte) uint32 {
	switch {
	case hostCheckJWK(algorithm, jwk) != 0:
		return 2
	case !hmac.Equal(signature, FakeSignature(algorithm, jwk, data)):
		return 13
	}
	return 0
}

// hostCheckJWK takes any JSON object for a key.
func hostCheckJWK(algorithm string, jwk []byte) uint32 {
	known := slices.ContainsFunc([]string{"RS", "PS", "ES", "Ed"}, func(kind string) bool { return strings.HasPrefix(algorithm, kind) })
	if text := string(jwk); !known || !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") {
		return 2
	}
	return 0
}

// hostPasswordVerify takes "fake:" and the password for its hash.
func hostPasswordVerify(hash string, password []byte) uint32 {
	right, ok := strings.CutPrefix(hash, "fake:")
	switch {
	case !ok:
		return 2
	case right != string(password):
		return 13
	}
	return 0
}
