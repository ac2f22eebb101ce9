package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"

	siv "github.com/tink-crypto/tink-go/v2/daead/subtle"
	"golang.org/x/crypto/chacha20poly1305"
)

// sealer is the key of an AEAD (RFC 5116).
type sealer interface {
	// seal appends what became of plaintext to dst, nonce first.
	seal(dst, plaintext, associated []byte) ([]byte, error)
	// open returns the plaintext, or ErrMismatch.
	open(sealed, associated []byte) ([]byte, error)
}

// random24 is an AEAD whose nonces are long enough to be drawn: with 192 bits two
// of 2^64 messages share one with a chance of 2^-65, so a key needs no counter and
// no host has to know what others have sealed.
type random24 struct {
	new func(nonce []byte) (cipher.AEAD, []byte)
}

const nonceBytes = 24

func (a random24) seal(dst, plaintext, associated []byte) ([]byte, error) {
	nonce := make([]byte, nonceBytes)
	_, _ = rand.Read(nonce) // it does not fail
	inner, rest := a.new(nonce)
	return inner.Seal(append(dst, nonce...), rest, plaintext, associated), nil
}

func (a random24) open(sealed, associated []byte) ([]byte, error) {
	if len(sealed) < nonceBytes {
		return nil, ErrMismatch
	}
	inner, rest := a.new(sealed[:nonceBytes])
	plaintext, err := inner.Open(nil, rest, sealed[nonceBytes:], associated)
	if err != nil {
		return nil, ErrMismatch
	}
	return plaintext, nil
}

func newXChaCha(_ *algorithm, key []byte) (any, error) {
	inner, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return random24{func(nonce []byte) (cipher.AEAD, []byte) { return inner, nonce }}, nil
}

// newXAES makes XAES-256-GCM (C2SP): AES-256-GCM under a key that half of the nonce
// derives from the key (NIST SP 800-108r1, CMAC in counter mode).
func newXAES(_ *algorithm, key []byte) (any, error) {
	outer, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	var k1 [aes.BlockSize]byte // of CMAC (NIST SP 800-38B)
	outer.Encrypt(k1[:], k1[:])
	double(&k1)
	return random24{func(nonce []byte) (cipher.AEAD, []byte) {
		var derived [2 * aes.BlockSize]byte
		for i := range 2 {
			block := derived[i*aes.BlockSize:][:aes.BlockSize]
			copy(block, []byte{0, byte(i + 1), 'X', 0})
			copy(block[4:], nonce[:12])
			subtle.XORBytes(block, block, k1[:])
			outer.Encrypt(block, block)
		}
		inner := must(aes.NewCipher(derived[:]))
		clear(derived[:])
		return must(cipher.NewGCM(inner)), nonce[12:]
	}}, nil
}

// double multiplies by x in GF(2^128).
func double(block *[aes.BlockSize]byte) {
	carry := block[0] >> 7
	for i := range block[:len(block)-1] {
		block[i] = block[i]<<1 | block[i+1]>>7
	}
	last := len(block) - 1
	block[last] = block[last]<<1 ^ carry*0x87
}

// must returns a value whose making fails for wrong sizes only, which are ours.
func must[T any](value T, err error) T {
	if err != nil {
		panic("keyring: " + err.Error())
	}
	return value
}

// deterministic is AES-SIV (RFC 5297) with one header: who sees two sealed values
// learns whether they were the same, and nothing else.
type deterministic struct{ *siv.AESSIV }

func newSIV(_ *algorithm, key []byte) (any, error) {
	inner, err := siv.NewAESSIV(key)
	if err != nil {
		return nil, err
	}
	return deterministic{inner}, nil
}

func (d deterministic) seal(dst, plaintext, associated []byte) ([]byte, error) {
	sealed, err := d.EncryptDeterministically(plaintext, associated)
	if err != nil {
		return nil, ErrTooLarge
	}
	return append(dst, sealed...), nil
}

func (d deterministic) open(sealed, associated []byte) ([]byte, error) {
	plaintext, err := d.DecryptDeterministically(sealed, associated)
	if err != nil {
		return nil, ErrMismatch
	}
	return plaintext, nil
}

// The form of what Grant.Seal makes: formatVersion, the length of the version's id
// in a byte, the id, and what the AEAD makes. All that comes before that is
// associated data too, so that nothing of it can be changed.
const formatVersion = 1

// SealedWith returns the id of the version that sealed it.
func SealedWith(sealed []byte) (id []byte, ok bool) {
	header, ok := sealedHeader(sealed)
	if !ok {
		return nil, false
	}
	return header[2:], true
}

func sealedHeader(sealed []byte) (header []byte, ok bool) {
	if len(sealed) < 2 || sealed[0] != formatVersion {
		return nil, false
	}
	end := 2 + int(sealed[1])
	if end > len(sealed) || end == 2 || end > 2+MaxID {
		return nil, false
	}
	return sealed[:end:end], true
}
