package guest

import "errors"

// Why the host refused an operation of ergo_crypto. ErrNotFound (the key has no such
// version), ErrBadArgument, ErrTooLarge, ErrBusy, ErrTimeout and ErrNoRoom are others.
var (
	ErrKeyUse   = errors.New("the manifest does not grant the key for that use")
	ErrMismatch = errors.New("a tag, a signature or a password is wrong")
)

// DigestKind is a hash function.
type DigestKind uint32

// Hash functions, of 32, 48 and 64 bytes.
const (
	SHA256 DigestKind = iota + 1
	SHA384
	SHA512
)

// Digest returns the digest of at most 8 MiB. Like all functions here it needs the
// grant ergo_crypto; which keys they may use, for what, and by which names, says
// [policy.NAME.keys] in the manifest. Keys never come to the policy. They change with
// a swap, which starts the policy anew: what is known of a key holds for an
// instance's life.
func Digest(kind DigestKind, data []byte) ([]byte, error) {
	if kind < SHA256 || kind > SHA512 {
		return nil, ErrBadArgument
	}
	sum := make([]byte, 16*(kind+1))
	return sum, cryptoError(hostDigest(uint32(kind), data, sum))
}

// Equal reports whether two values are the same, in the time that their lengths take.
func Equal(a, b []byte) bool { return hostEqual(a, b) != 0 }

// CryptoRandom fills b with what nobody can foretell. It is for exchanges: while the
// policy starts it traps, because clones would share what is drawn.
func CryptoRandom(b []byte) { hostCryptoRandom(b) }

// KeyID returns the id of a key's primary version, with which it seals and signs.
func KeyID(name string) (id string, granted bool) {
	return readFound(func(buf []byte) uint32 { return hostKeyID(name, buf) })
}

// KeyAlgorithm returns the algorithm of a key.
func KeyAlgorithm(name string) (algorithm string, granted bool) {
	return readFound(func(buf []byte) uint32 { return hostKeyAlgorithm(name, buf) })
}

// What sealing adds to a plaintext at most, and the longest signature: that of an RSA
// key of 8192 bits.
const (
	sealOverhead   = 2 + 64 + 24 + 16
	signatureBytes = 1024
)

// Seal encrypts and authenticates at most 8 MiB. The associated data, at most 64 KiB,
// is authenticated alone, and is needed again to open.
func Seal(name string, plaintext, associated []byte) ([]byte, error) {
	return output(len(plaintext)+sealOverhead, func(buf []byte) (uint32, uint32) {
		return hostSeal(name, plaintext, associated, buf)
	})
}

// Open returns what Seal was given. It takes the version of the key that sealed it.
func Open(name string, sealed, associated []byte) ([]byte, error) {
	return output(len(sealed), func(buf []byte) (uint32, uint32) {
		return hostOpen(name, sealed, associated, buf)
	})
}

// SealedWith returns the id of the version that sealed it; ok is false if Seal makes
// no such thing.
func SealedWith(sealed []byte) (id string, ok bool) {
	const header, longest = 2, 64
	if len(sealed) < header || sealed[0] != 1 || sealed[1] == 0 || sealed[1] > longest || len(sealed) < header+int(sealed[1]) {
		return "", false
	}
	return string(sealed[header : header+int(sealed[1])]), true
}

// Sign makes a signature, or HMAC, with the primary version. Those of ECDSA are r and
// s, as JOSE has them.
func Sign(name string, data []byte) ([]byte, error) {
	return output(signatureBytes, func(buf []byte) (uint32, uint32) { return hostSign(name, data, buf) })
}

// Verify checks a signature, or HMAC, with the version of that id or, with "", with
// any.
func Verify(name, id string, data, signature []byte) error {
	return cryptoError(hostVerify(name, id, data, signature))
}

// VerifyWith checks a signature with a public key in the text of a JWK. The algorithm
// (RS256, PS384, ES512, EdDSA, ...) is the caller's, and the JWK must fit it:
// symmetric, private and weak keys, and those for another use, are ErrBadArgument. The
// host parses a key once, so its text can be shown again and again.
func VerifyWith(algorithm string, jwk, data, signature []byte) error {
	return cryptoError(hostVerifyWith(algorithm, jwk, data, signature))
}

// CheckJWK returns what VerifyWith would say of the algorithm and the key.
func CheckJWK(algorithm string, jwk []byte) error { return cryptoError(hostCheckJWK(algorithm, jwk)) }

// PasswordVerify checks a password against a hash of bcrypt ("$2b$12$...") or argon2id
// ("$argon2id$v=19$m=65536,t=3,p=4$...").
func PasswordVerify(hash string, password []byte) error {
	return cryptoError(hostPasswordVerify(hash, password))
}

// output calls a function that writes an output of at most size bytes, and returns its
// length and a status.
func output(size int, call func(buf []byte) (length, status uint32)) ([]byte, error) {
	buf := make([]byte, size)
	length, status := call(buf)
	if err := cryptoError(status); err != nil {
		return nil, err
	}
	return buf[:length], nil
}

func cryptoError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 1:
		return ErrNotFound
	case 5:
		return ErrKeyUse
	case 7:
		return ErrTimeout
	case 8:
		return ErrTooLarge
	case 9:
		return ErrBusy
	case 10:
		return ErrFailed
	case 11:
		return ErrNoRoom
	case 13:
		return ErrMismatch
	}
	return ErrBadArgument
}
