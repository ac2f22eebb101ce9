package guest

import "encoding/binary"

// ContentKey is a key for the content of one message, as JSON Web Encryption (RFC
// 7516) has it: the host has it, under a handle. It ends by Drop or with the exchange;
// an instance has at most 16. It needs the grant ergo_crypto.
type ContentKey struct{ handle uint32 }

// Wrapped is what a message carries beside its content.
type Wrapped struct {
	Encrypted []byte // the encrypted key; empty with direct use or agreement
	EPK       []byte // the sender's public key of an agreement, the text of a JWK; else empty
}

// Agreement is what an agreement of keys takes from a message's header, as it stands
// there: the text of a JWK, and who sends and receives in base64url.
type Agreement struct{ EPK, APU, APV string }

const (
	wrappedBytes    = 2048         // an encrypted key and a public one
	contentOverhead = 16 + 16 + 32 // nonce, padding and tag
)

// NewContentKey makes a key for content and protects it with the primary version of
// the named key. enc is how content will be encrypted: "A256GCM", "A128CBC-HS256" and
// the like.
func NewContentKey(name, enc string) (ContentKey, Wrapped, error) {
	var key ContentKey
	w, err := wrapWith(name, enc, &key.handle)
	return key, w, err
}

// Wrap protects the key for one more recipient.
func (k ContentKey) Wrap(name, enc string) (Wrapped, error) { return wrapWith(name, enc, &k.handle) }

func wrapWith(name, enc string, handle *uint32) (Wrapped, error) {
	out, err := output(wrappedBytes, func(buf []byte) (uint32, uint32) { return hostWrap(name, enc, handle, buf) })
	if err != nil {
		return Wrapped{}, err
	}
	if len(out) < 2 || len(out) < 2+int(binary.LittleEndian.Uint16(out)) {
		return Wrapped{}, ErrFailed
	}
	end := 2 + int(binary.LittleEndian.Uint16(out))
	return Wrapped{Encrypted: out[end:], EPK: out[2:end]}, nil
}

// UnwrapContentKey returns the key for content that a message carries, by the version
// of that id or, with "", by any.
func UnwrapContentKey(name, id, enc string, encrypted []byte, with Agreement) (ContentKey, error) {
	handle, status := hostUnwrap(name, id, enc, encrypted, with.EPK+"\x00"+with.APU+"\x00"+with.APV)
	return ContentKey{handle}, cryptoError(status)
}

// Encrypt encrypts content: nonce, ciphertext and tag, in this order and without a
// seam.
func (k ContentKey) Encrypt(content, associated []byte) ([]byte, error) {
	return output(len(content)+contentOverhead, func(buf []byte) (uint32, uint32) {
		return hostEncrypt(k.handle, content, associated, buf)
	})
}

// Decrypt returns the content of a message.
func (k ContentKey) Decrypt(nonce, ciphertext, tag, associated []byte) ([]byte, error) {
	return output(len(ciphertext), func(buf []byte) (uint32, uint32) {
		return hostDecrypt(k.handle, nonce, ciphertext, tag, associated, buf)
	})
}

// Drop ends the key.
func (k ContentKey) Drop() { hostDropKey(k.handle) }
