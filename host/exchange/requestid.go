package exchange

import (
	"encoding/hex"
	"math/rand/v2"
	"unsafe"
)

// maxIDBytes bounds a request id that is taken over, because it goes into
// every log line and every request to an upstream.
const maxIDBytes = 128

// newID returns 128 random bits as hex. They come from the runtime's
// ChaCha8 generator: they don't repeat and can't be guessed from outside, and
// cost no system call.
func newID(a *Arena) string {
	var bits [16]byte
	for i := 0; i < len(bits); i += 8 {
		word := rand.Uint64()
		for j := range 8 {
			bits[i+j] = byte(word >> (8 * j))
		}
	}
	text := a.Bytes(2 * len(bits))
	hex.Encode(text, bits[:])
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// validID accepts what UUIDs, ULIDs, trace ids and base64 are made of.
func validID(s string) bool {
	if s == "" || len(s) > maxIDBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlphanumeric(c):
		case c == '-' || c == '_' || c == '.' || c == ':' || c == '/' || c == '+' || c == '=' || c == '@':
		default:
			return false
		}
	}
	return true
}
