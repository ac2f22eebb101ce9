package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// content is an algorithm for content (RFC 7518, 5), each message with a key of its
// own.
type content struct {
	keyBytes, nonceBytes, tagBytes int

	new func(key []byte) (cipher.AEAD, error)
}

// contents are the algorithms for content, by what "enc" calls them.
var contents = map[string]content{
	"A128GCM":       {16, 12, 16, newGCM},
	"A192GCM":       {24, 12, 16, newGCM},
	"A256GCM":       {32, 12, 16, newGCM},
	"A128CBC-HS256": {32, 16, 16, newCBC},
	"A192CBC-HS384": {48, 16, 24, newCBC},
	"A256CBC-HS512": {64, 16, 32, newCBC},
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newCBC(key []byte) (cipher.AEAD, error) { return josecipher.NewCBCHMAC(key, aes.NewCipher) }

// MaxContentOverhead bounds what nonce, padding and tag add to content.
const MaxContentOverhead = 16 + 16 + 32

// ContentKey is a key for the content of one message, fresh or unwrapped. Of a message
// that does not say by which version its key was wrapped there is a candidate for each.
// One goroutine at a time uses it; Wipe ends it.
type ContentKey struct {
	content    content
	candidates [][]byte
}

// Wipe zeroes the key.
func (k *ContentKey) Wipe() {
	for _, key := range k.candidates {
		clear(key)
	}
}

// Encrypt returns nonce, ciphertext and tag in this order.
func (k *ContentKey) Encrypt(plaintext, associated []byte) ([]byte, error) {
	inner, err := k.content.new(k.candidates[0])
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, k.content.nonceBytes, len(plaintext)+MaxContentOverhead)
	_, _ = rand.Read(nonce) // it does not fail
	return inner.Seal(nonce, nonce, plaintext, associated), nil
}

// Decrypt returns the plaintext, or ErrMismatch. Nonce and tag must be exactly as long
// as the algorithm has them: a shorter tag is easier to forge.
func (k *ContentKey) Decrypt(nonce, ciphertext, tag, associated []byte) ([]byte, error) {
	if len(nonce) != k.content.nonceBytes || len(tag) != k.content.tagBytes {
		return nil, ErrMismatch
	}
	sealed := make([]byte, 0, len(ciphertext)+len(tag))
	sealed = append(append(sealed, ciphertext...), tag...)
	for _, key := range k.candidates {
		inner, err := k.content.new(key)
		if err != nil {
			return nil, err
		}
		if plaintext, err := inner.Open(nil, nonce, sealed, associated); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrMismatch
}
