package capability

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Crypto is the module ergo_crypto: a guest has the host work with keys that it
// never sees. It knows them by the names of [policy.NAME.keys], which also says
// what it may do with each.
//
//	digest(kind, data, data_len, out) -> status            kind 1: SHA-256, 2: SHA-384, 3: SHA-512
//	equal(a, a_len, b, b_len) -> 0 or 1                    in the time that their lengths take
//	random(buf, buf_len)                                   fills all of it, for an exchange
//	key_id(name, name_len, buf, buf_limit) -> len          of the primary version; -1 if it is not granted
//	algorithm(name, name_len, buf, buf_limit) -> len       of the key; -1 if it is not granted
//	seal(name, name_len, plaintext, plaintext_len, associated, associated_len, buf, buf_limit, length) -> status
//	open(name, name_len, sealed, sealed_len, associated, associated_len, buf, buf_limit, length) -> status
//	sign(name, name_len, data, data_len, buf, buf_limit, length) -> status
//	verify(name, name_len, id, id_len, data, data_len, signature, signature_len) -> status
//	verify_with(algorithm, algorithm_len, jwk, jwk_len, data, data_len, signature, signature_len) -> status
//	check_jwk(algorithm, algorithm_len, jwk, jwk_len) -> status
//	password_verify(hash, hash_len, password, password_len) -> status
//
//	wrap(name, name_len, enc, enc_len, handle, buf, buf_limit, length) -> status
//	unwrap(name, name_len, id, id_len, enc, enc_len, encrypted, encrypted_len, agreement, agreement_len, handle) -> status
//	encrypt(handle, plaintext, plaintext_len, associated, associated_len, buf, buf_limit, length) -> status
//	decrypt(handle, nonce, nonce_len, ciphertext, ciphertext_len, tag, tag_len, associated, associated_len, buf, buf_limit, length) -> status
//	drop(handle) -> status
//
// seal and sign use a key's primary version. What is sealed begins with a byte 1,
// the length of the version's id in a byte, and the id; open takes any version, and
// is told by that which. verify takes the version of that id or, with an empty one,
// any. HMAC is a signature. verify_with checks by a public key in the text of a JWK
// (RFC 7517), for RS, PS and ES 256 to 512, EdDSA and Ed25519; it is parsed once.
// password_verify knows bcrypt ($2a$, $2b$, $2y$, cost up to 14) and argon2id in PHC
// form (up to 128 MiB, 10 passes, 16 lanes, and 1 GiB times passes).
//
// The last five are for JSON Web Encryption (RFC 7516). A key for content is known by a
// handle, 4 bytes; it is never in the guest. wrap makes one for enc ("A256GCM",
// "A128CBC-HS256"), or protects that of the handle once more, for another recipient; the
// handle is 0 for a new one, and is written then. Its output is 2 bytes of length, the
// sender's public key as a JWK, empty without an agreement, and the encrypted key, empty
// with direct use or agreement. unwrap takes the version of that id or, with an empty
// one, any; agreement is "epk\0apu\0apv" as they stand in the message's header. What
// encrypt writes is nonce, ciphertext and tag. An instance has at most 16 such keys. One
// ends by drop, with the exchange that it was made for, or with the instance.
//
// Outputs are written if they fit buf_limit; length, 4 bytes in little-endian order,
// is written with status 0 and 8. Data is at most 8 MiB, associated data 64 KiB, a JWK
// 16 KiB, a signature 4 KiB, a password 1 KiB.
//
// RSA with a private key and passwords are dear: in the whole process as many are
// under way as half of the processors, and the guest's clock stands still while it
// waits for its turn in an exchange. It runs while the work is done, so limits.time
// must allow for it.
//
// The status is 0 for done, 1 if the key has no version of that id or there is no such
// handle, 2 for what is
// malformed or refused as too weak or too dear, 5 if the manifest does not grant the
// key for that use, 7 if the exchange ended first, 8 for what is too large or does
// not fit, 9 if too many wait for dear work, 11 for a handle too many, and 13 if a tag, a signature or a
// password is wrong.
func Crypto() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_crypto", Functions: append([]wasm.HostFunction{
		function("digest", 4, one, cryptoDigest),
		function("equal", 4, one, cryptoEqual),
		function("random", 2, nil, cryptoRandom),
		function("key_id", 4, one, cryptoName((*keyring.Grant).KeyID)),
		function("algorithm", 4, one, cryptoName((*keyring.Grant).Algorithm)),
		function("seal", 9, one, cryptoAEAD((*keyring.Grant).Seal)),
		function("open", 9, one, cryptoAEAD((*keyring.Grant).Open)),
		function("sign", 7, one, cryptoSign),
		function("verify", 8, one, cryptoVerify((*keyring.Grant).Verify)),
		function("verify_with", 8, one, cryptoVerify((*keyring.Grant).VerifyWith)),
		function("check_jwk", 4, one, cryptoCheckJWK),
		function("password_verify", 4, one, cryptoPassword),
	}, contentFunctions()...)}
}

// Bounds of one call.
const (
	maxCryptoData = 8 << 20
	maxAssociated = 64 << 10
	maxSignature  = 4 << 10
)

// turnTimeout bounds the wait for dear work where no exchange does.
const turnTimeout = time.Second

var cryptoStatuses = []struct {
	err    error
	status status
}{
	{keyring.ErrUnknown, notFound},
	{keyring.ErrMalformed, badArgument},
	{keyring.ErrNotGranted, notGranted},
	{keyring.ErrTimeout, timedOut},
	{keyring.ErrTooLarge, tooLarge},
	{keyring.ErrBusy, busy},
	{keyring.ErrMismatch, mismatch},
}

// statusOfCrypto is the status of an operation's error. What the libraries say
// beside those is of a key that cannot do it.
func statusOfCrypto(err error) status {
	if err == nil {
		return ok
	}
	for _, s := range cryptoStatuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return failed
}

// keysOf returns the keys of the policy.
func keysOf(ctx context.Context) *keyring.Grant { return granted(wasm.CallOf(ctx)).Keys }

// work has the guest pay for what its data costs: it is looked at the clock before
// and after.
func work(ctx context.Context, do func()) {
	call := wasm.CallOf(ctx)
	call.Check()
	do()
	call.Check()
}

// turn is how the guest waits for dear work. While it waits for an exchange its
// clock stands still: what bounds the wait is the exchange's end.
func turn(call *wasm.Call) (t keyring.Turn, end func()) {
	if x := call.Exchange; x != nil {
		return keyring.Turn{Context: x.Context(), Wait: call.Pause, Resume: call.Resume}, call.Check
	}
	ctx, cancel := context.WithTimeout(context.Background(), turnTimeout)
	return keyring.Turn{Context: ctx, Wait: call.Check}, func() {
		cancel()
		call.Check()
	}
}

// result writes an output and its length, and returns the status.
func result(mod api.Module, out []byte, err error, offset, limit uint64, length []byte) status {
	if err != nil {
		return statusOfCrypto(err)
	}
	binary.LittleEndian.PutUint32(length, uint32(len(out)))
	if len(out) > int(uint32(limit)) {
		return tooLarge
	}
	copy(read(mod, offset, uint64(len(out))), out)
	return ok
}

func cryptoDigest(ctx context.Context, mod api.Module, stack []uint64) {
	const unit = 16
	data, size := read(mod, stack[1], stack[2]), unit*(uint32(stack[0])+1)
	if kind := uint32(stack[0]); kind < 1 || kind > 3 {
		stack[0] = badArgument
		return
	}
	out := read(mod, stack[3], uint64(size))
	if stack[0] = tooLarge; len(data) <= maxCryptoData {
		work(ctx, func() { copy(out, keyring.Digest(int(size), data)) })
		stack[0] = ok
	}
}

func cryptoEqual(_ context.Context, mod api.Module, stack []uint64) {
	a, b := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	stack[0] = uint64(subtle.ConstantTimeCompare(a, b))
}

// cryptoRandom needs an exchange: what a guest draws while it starts its clones
// would share.
func cryptoRandom(ctx context.Context, mod api.Module, stack []uint64) {
	wasm.CallOf(ctx).MustExchange()
	getRandom(ctx, mod, stack)
}

func cryptoName(of func(g *keyring.Grant, name []byte) (string, bool)) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		value, found := of(keysOf(ctx), read(mod, stack[0], stack[1]))
		if !found {
			stack[0] = none
			return
		}
		stack[0] = give(mod, stack[2], stack[3], value)
	}
}

func cryptoAEAD(do func(g *keyring.Grant, name, data, associated []byte) ([]byte, error)) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		name, data, associated := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[4], stack[5])
		length := read(mod, stack[8], 4)
		if len(data) > maxCryptoData+keyring.MaxOverhead+2+keyring.MaxID || len(associated) > maxAssociated {
			stack[0] = tooLarge
			return
		}
		work(ctx, func() {
			out, err := do(keysOf(ctx), name, data, associated)
			stack[0] = result(mod, out, err, stack[6], stack[7], length)
			clear(out)
		})
	}
}

func cryptoSign(ctx context.Context, mod api.Module, stack []uint64) {
	name, data, length := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[6], 4)
	if len(data) > maxCryptoData {
		stack[0] = tooLarge
		return
	}
	t, end := turn(wasm.CallOf(ctx))
	defer end()
	out, err := keysOf(ctx).Sign(t, name, data)
	stack[0] = result(mod, out, err, stack[4], stack[5], length)
}

func cryptoVerify(do func(g *keyring.Grant, first, second, data, signature []byte) error) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		first, second := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
		data, signature := read(mod, stack[4], stack[5]), read(mod, stack[6], stack[7])
		if len(data) > maxCryptoData || len(signature) > maxSignature {
			stack[0] = tooLarge
			return
		}
		work(ctx, func() { stack[0] = statusOfCrypto(do(keysOf(ctx), first, second, data, signature)) })
	}
}

func cryptoCheckJWK(ctx context.Context, mod api.Module, stack []uint64) {
	algorithm, jwk := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	work(ctx, func() { stack[0] = statusOfCrypto(keysOf(ctx).CheckJWK(algorithm, jwk)) })
}

func cryptoPassword(ctx context.Context, mod api.Module, stack []uint64) {
	hash, password := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	t, end := turn(wasm.CallOf(ctx))
	defer end()
	stack[0] = statusOfCrypto(keysOf(ctx).VerifyPassword(t, hash, password))
}
