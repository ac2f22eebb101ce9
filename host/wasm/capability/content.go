package capability

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/wasm"
)

// contentFunctions are those functions of ergo_crypto that work with keys for content.
func contentFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("wrap", 8, one, wrapKey),
		function("unwrap", 11, one, unwrapKey),
		function("encrypt", 8, one, encryptContent),
		function("decrypt", 12, one, decryptContent),
		function("drop", 1, one, dropKey),
	}
}

// Bounds of keys for content.
const (
	maxContentKeys  = 16 // open in an instance
	maxEncryptedKey = 1 << 10
	maxAgreement    = 4 << 10
	maxTag          = 64 // of a nonce too
)

// contentKeys are the keys for content that an instance has.
type contentKeys struct {
	open []contentKey
	last uint32 // the handle that was given last
}

var _ wasm.Keeper = (*contentKeys)(nil)

type contentKey struct {
	handle uint32
	x      *exchange.Exchange // for which it was made; may be nil
	key    *keyring.ContentKey
}

func contentKeysOf(call *wasm.Call) *contentKeys {
	if c, ok := wasm.Kept[*contentKeys](call); ok {
		return c
	}
	c := new(contentKeys)
	call.Keep(c)
	return c
}

// Leave follows wasm.Keeper.
func (c *contentKeys) Leave(x *exchange.Exchange) {
	c.drop(func(k contentKey) bool { return x == nil || k.x == x })
}

// drop ends the keys that go, and returns how many.
func (c *contentKeys) drop(goes func(contentKey) bool) int {
	before := len(c.open)
	c.open = slices.DeleteFunc(c.open, func(k contentKey) bool {
		gone := goes(k)
		if gone {
			k.key.Wipe()
		}
		return gone
	})
	return before - len(c.open)
}

// find returns the key of a handle, nil if there is none.
func (c *contentKeys) find(handle uint64) *keyring.ContentKey {
	for _, k := range c.open {
		if k.handle == uint32(handle) {
			return k.key
		}
	}
	return nil
}

// add keeps a key and writes its handle.
func (c *contentKeys) add(call *wasm.Call, key *keyring.ContentKey, handle []byte) {
	c.last++
	c.open = append(c.open, contentKey{c.last, call.Exchange, key})
	binary.LittleEndian.PutUint32(handle, c.last)
}

func wrapKey(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	name, enc := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	handle, length := read(mod, stack[4], 4), read(mod, stack[7], 4)
	keys, given := contentKeysOf(call), binary.LittleEndian.Uint32(handle)
	key := keys.find(uint64(given))
	switch {
	case given != 0 && key == nil:
		stack[0] = notFound
		return
	case given == 0 && len(keys.open) == maxContentKeys:
		stack[0] = noRoom
		return
	}
	work(ctx, func() {
		made, w, err := keysOf(ctx).Wrap(name, enc, key)
		if err != nil {
			stack[0] = statusOfCrypto(err)
			return
		}
		out := binary.LittleEndian.AppendUint16(nil, uint16(len(w.EPK)))
		out = append(append(out, w.EPK...), w.Encrypted...)
		stack[0] = result(mod, out, nil, stack[5], stack[6], length)
		switch {
		case given != 0:
		case stack[0] == ok:
			keys.add(call, made, handle)
		default:
			made.Wipe()
		}
	})
}

func unwrapKey(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	name, id, enc := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[4], stack[5])
	encrypted, agreement, handle := read(mod, stack[6], stack[7]), read(mod, stack[8], stack[9]), read(mod, stack[10], 4)
	keys := contentKeysOf(call)
	with, malformed := readAgreement(agreement)
	switch {
	case len(encrypted) > maxEncryptedKey || len(agreement) > maxAgreement:
		stack[0] = tooLarge
		return
	case malformed != nil:
		stack[0] = badArgument
		return
	case len(keys.open) == maxContentKeys:
		stack[0] = noRoom
		return
	}
	t, end := turn(call)
	defer end()
	key, err := keysOf(ctx).Unwrap(t, name, id, enc, encrypted, with)
	if stack[0] = statusOfCrypto(err); err == nil {
		keys.add(call, key, handle)
	}
}

// readAgreement reads "epk\0apu\0apv"; what is missing at the end is empty.
func readAgreement(text []byte) (keyring.Agreement, error) {
	epk, rest, _ := bytes.Cut(text, []byte{0})
	apu, apv, _ := bytes.Cut(rest, []byte{0})
	return keyring.ParseAgreement(string(epk), string(apu), string(apv))
}

func encryptContent(ctx context.Context, mod api.Module, stack []uint64) {
	plaintext, associated := read(mod, stack[1], stack[2]), read(mod, stack[3], stack[4])
	length := read(mod, stack[7], 4)
	key := contentKeysOf(wasm.CallOf(ctx)).find(stack[0])
	switch {
	case key == nil:
		stack[0] = notFound
	case len(plaintext) > maxCryptoData || len(associated) > maxAssociated:
		stack[0] = tooLarge
	default:
		work(ctx, func() {
			out, err := key.Encrypt(plaintext, associated)
			stack[0] = result(mod, out, err, stack[5], stack[6], length)
		})
	}
}

func decryptContent(ctx context.Context, mod api.Module, stack []uint64) {
	nonce, ciphertext := read(mod, stack[1], stack[2]), read(mod, stack[3], stack[4])
	tag, associated := read(mod, stack[5], stack[6]), read(mod, stack[7], stack[8])
	length := read(mod, stack[11], 4)
	key := contentKeysOf(wasm.CallOf(ctx)).find(stack[0])
	switch {
	case key == nil:
		stack[0] = notFound
	case len(ciphertext) > maxCryptoData+keyring.MaxContentOverhead || len(associated) > maxAssociated || len(nonce) > maxTag || len(tag) > maxTag:
		stack[0] = tooLarge
	default:
		work(ctx, func() {
			out, err := key.Decrypt(nonce, ciphertext, tag, associated)
			stack[0] = result(mod, out, err, stack[9], stack[10], length)
			clear(out)
		})
	}
}

func dropKey(ctx context.Context, _ api.Module, stack []uint64) {
	handle := uint32(stack[0])
	if contentKeysOf(wasm.CallOf(ctx)).drop(func(k contentKey) bool { return k.handle == handle }) == 0 {
		stack[0] = notFound
		return
	}
	stack[0] = ok
}
