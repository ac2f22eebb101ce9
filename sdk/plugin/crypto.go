package plugin

import (
	"context"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// KeyInfo is what a policy may know of a key.
type KeyInfo struct {
	ID        string // of the primary version, which seals, signs and wraps
	Algorithm string
}

// Key says what the host has by the name of a key. Like all that follows it takes the grant
// ergo_crypto; which keys there are, by which names and for which uses, says
// [policy.NAME.keys]. No key ever comes to the process, which does itself what takes none.
func (h *Host) Key(ctx context.Context, name string) (KeyInfo, error) {
	r, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Key{Key: name}})
	if err != nil {
		return KeyInfo{}, err
	}
	return KeyInfo{r.Id, r.Algorithm}, nil
}

// Seal encrypts and authenticates at most 4 MiB. The associated data, of at most 64 KiB, is
// authenticated alone, and is needed again to open.
func (h *Host) Seal(ctx context.Context, key string, plaintext, associated []byte) ([]byte, error) {
	return h.value(ctx, &pluginpb.Call{Call: &pluginpb.Call_Seal{Seal: &pluginpb.Sealing{Key: key, Data: plaintext, Associated: associated}}})
}

// Open returns what Seal was given. It takes the version of the key that sealed it; the
// error may be ErrUnknown, ErrMalformed or ErrMismatch.
func (h *Host) Open(ctx context.Context, key string, sealed, associated []byte) ([]byte, error) {
	return h.value(ctx, &pluginpb.Call{Call: &pluginpb.Call_Open{Open: &pluginpb.Sealing{Key: key, Data: sealed, Associated: associated}}})
}

// Sign makes a signature, or HMAC, of at most 4 MiB with the primary version. Those of ECDSA
// are r and s, as JOSE has them.
func (h *Host) Sign(ctx context.Context, key string, data []byte) ([]byte, error) {
	return h.value(ctx, &pluginpb.Call{Call: &pluginpb.Call_Sign{Sign: &pluginpb.Signing{Key: key, Data: data}}})
}

// Verify checks a signature, or HMAC, with the version of that id or, with "", with any.
// The error may be ErrUnknown or ErrMismatch.
func (h *Host) Verify(ctx context.Context, key, id string, data, signature []byte) error {
	_, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Verify{Verify: &pluginpb.Signing{Key: key, Id: id, Data: data, Signature: signature}}})
	return err
}

func (h *Host) value(ctx context.Context, call *pluginpb.Call) ([]byte, error) {
	r, err := h.ask(ctx, call)
	if err != nil {
		return nil, err
	}
	return r.Value, nil
}

// ContentKey is a key for the content of one message, as JSON Web Encryption (RFC 7516) has
// it. The host has it; it ends by Drop or with the exchange, which has at most 16.
type ContentKey struct {
	host   *Host
	handle uint32
}

// Wrapped is what a message carries beside its content.
type Wrapped struct {
	Encrypted []byte // the encrypted key; empty with direct use or agreement
	EPK       []byte // the sender's public key of an agreement, the text of a JWK; else empty
}

// Agreement is what an agreement of keys takes from a message's header, as it stands
// there: the text of a JWK, and who sends and receives in base64url.
type Agreement struct{ EPK, APU, APV string }

// NewContentKey makes a key for content and protects it with the primary version of the named
// key. enc is how content will be encrypted: "A256GCM", "A128CBC-HS256" and the like.
func (x *Exchange) NewContentKey(ctx context.Context, key, enc string) (*ContentKey, Wrapped, error) {
	k := &ContentKey{host: &x.Host}
	w, err := k.Wrap(ctx, key, enc)
	if err != nil {
		return nil, w, err
	}
	return k, w, nil
}

// Unwrap has the key that a message carries, by the version of that id or, with "", by any.
func (x *Exchange) Unwrap(ctx context.Context, key, id, enc string, encrypted []byte, with Agreement) (*ContentKey, error) {
	r, err := x.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Unwrap{Unwrap: &pluginpb.Wrapping{
		Key: key, Id: id, Enc: enc, Encrypted: encrypted, Epk: with.EPK, Apu: with.APU, Apv: with.APV,
	}}})
	if err != nil {
		return nil, err
	}
	return &ContentKey{&x.Host, r.Handle}, nil
}

// Wrap protects the key for one more recipient.
func (k *ContentKey) Wrap(ctx context.Context, key, enc string) (Wrapped, error) {
	r, err := k.host.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Wrap{Wrap: &pluginpb.Wrapping{Key: key, Enc: enc, Handle: k.handle}}})
	if err != nil {
		return Wrapped{}, err
	}
	k.handle = r.Handle
	return Wrapped{r.Value, r.Epk}, nil
}

// Encrypt returns nonce, ciphertext and tag in this order.
func (k *ContentKey) Encrypt(ctx context.Context, plaintext, associated []byte) ([]byte, error) {
	return k.host.value(ctx, &pluginpb.Call{Call: &pluginpb.Call_Encrypt{Encrypt: &pluginpb.Content{
		Handle: k.handle, Data: plaintext, Associated: associated,
	}}})
}

// Decrypt returns the plaintext; the error may be ErrMismatch.
func (k *ContentKey) Decrypt(ctx context.Context, nonce, ciphertext, tag, associated []byte) ([]byte, error) {
	return k.host.value(ctx, &pluginpb.Call{Call: &pluginpb.Call_Decrypt{Decrypt: &pluginpb.Content{
		Handle: k.handle, Nonce: nonce, Data: ciphertext, Tag: tag, Associated: associated,
	}}})
}

// Drop ends the key.
func (k *ContentKey) Drop(ctx context.Context) error {
	_, err := k.host.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Drop{Drop: k.handle}})
	return err
}
