package capability

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/wasm"
)

// KV is the module ergo_kv: a guest remembers from one exchange to the next, and
// shares with its other instances, its other versions and, if the manifest says
// so, with other hosts.
//
//	get(key, key_len, buf, buf_limit, result) -> status               result: version u64, length u32
//	set(key, key_len, value, value_len, ttl_ms i64, result) -> status result: version u64
//	set_if(key, key_len, value, value_len, ttl_ms i64, version i64, result) -> status  as set
//	delete(key, key_len) -> status
//	delete_if(key, key_len, version i64) -> status
//	add(key, key_len, delta i64, ttl_ms i64, result) -> status        result: sum i64
//	take(key, key_len, tokens, per_ms, burst, n, result) -> status    result: retry_after_ms u64, remaining u32, allowed u32
//	window(key, key_len, limit, per_ms, n, result) -> status          result: as take
//
// Each is atomic. A key is 1 to 512 bytes and holds a value, a counter, a bucket of
// tokens or a window; set and delete do not ask which. A time to live is in milliseconds, 0
// for ever, up to 366 days. Results are written where the guest says, little-endian
// and only with status 0; get writes the value only if it fits buf_limit.
//
// A value's version is never 0. set_if and delete_if act if the key has the value
// of that version; set_if with version 0 if it has nothing. add makes a counter that
// is not there, with the time to live, unless delta is 0. take takes n tokens or
// none; tokens come back one by one, so many of them in per_ms, up to burst. window
// admits n or none if no more than limit are admitted in any per_ms; what was admitted
// counts for that long, and for a hundredth more at most.
//
// The status is 0 for done, 1 if there is nothing, 2 for an argument out of bounds,
// 4 if the version is another, 5 if the key holds another kind, 6 if a counter would
// overflow, 7 if the policy's state is full, and 8 if the shared store is not
// available: unless the policy wants to be told, its call then fails when it returns,
// and further functions return 8 at once. If the manifest says so, what is kept in
// this process stands in for it instead.
func KV() wasm.HostModule {
	const i32, i64 = wasm.I32, wasm.I64
	return wasm.HostModule{Name: "ergo_kv", Functions: []wasm.HostFunction{
		kvFunction("get", kvGet, i32, i32, i32, i32, i32),
		kvFunction("set", kvSet, i32, i32, i32, i32, i64, i32),
		kvFunction("set_if", kvSetIf, i32, i32, i32, i32, i64, i64, i32),
		kvFunction("delete", kvDelete, i32, i32),
		kvFunction("delete_if", kvDeleteIf, i32, i32, i64),
		kvFunction("add", kvAdd, i32, i32, i64, i64, i32),
		kvFunction("take", kvTake, i32, i32, i32, i32, i32, i32, i32),
		kvFunction("window", kvWindow, i32, i32, i32, i32, i32, i32),
	}}
}

const (
	changed     status = 4 // it has another version
	wrongKind   status = 5 // the key holds another kind
	overflow    status = 6 // no int64 holds the sum
	full        status = 7 // a bound would be exceeded
	unavailable status = 8 // the shared store is gone
)

// refusals are the statuses of the store's errors.
var refusals = []struct {
	err    error
	status status
}{
	{state.ErrNotFound, notFound},
	{state.ErrArgument, badArgument},
	{state.ErrCAS, changed},
	{state.ErrKind, wrongKind},
	{state.ErrOverflow, overflow},
	{state.ErrFull, full},
	{state.ErrUnavailable, unavailable},
}

// operation is one function of the module. It looks at all the memory it was given
// before it does anything, and writes its result if it returns no error.
type operation func(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error

// kvFunction makes a host function of an operation. While another process is asked
// for an exchange the guest's clock stands still, and the exchange's end ends the
// wait. Without one the time is the guest's own.
func kvFunction(name string, do operation, params ...api.ValueType) wasm.HostFunction {
	call := func(ctx context.Context, mod api.Module, stack []uint64) {
		call := wasm.CallOf(ctx)
		kv := call.Granted.(*policy.Granted).KV
		if call.Failed() != nil {
			stack[0] = unavailable
			return
		}
		if !kv.Store.Remote() {
			stack[0] = refusal(do(context.Background(), kv.Store, mod, stack))
			return
		}
		err := remotely(call, kv.Store, do, mod, stack)
		if kv.StandIn != nil && errors.Is(err, state.ErrUnavailable) {
			err = do(context.Background(), kv.StandIn, mod, stack)
		}
		if stack[0] = refusal(err); stack[0] == unavailable && !kv.Tell && call.Exchange != nil {
			call.Fail(err)
		}
	}
	return wasm.HostFunction{Name: name, Params: params, Results: one, Call: call}
}

// remotely runs an operation that waits for another process.
func remotely(call *wasm.Call, store *state.Store, do operation, mod api.Module, stack []uint64) error {
	if x := call.Exchange; x != nil {
		call.Pause()
		defer call.Resume()
		return do(x.Context(), store, mod, stack)
	}
	call.Check() // its clock runs from here on
	defer call.Check()
	return do(context.Background(), store, mod, stack)
}

// refusal is the status of a store's error.
func refusal(err error) status {
	if err == nil {
		return ok
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.status
		}
	}
	panic(err) // stores have no other
}

func kvGet(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, buf, result := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[4], 12)
	value, version, err := store.Get(ctx, key)
	if err != nil {
		return err
	}
	if len(value) <= len(buf) {
		copy(buf, value)
	}
	binary.LittleEndian.PutUint64(result, version)
	binary.LittleEndian.PutUint32(result[8:], uint32(len(value)))
	return nil
}

func kvSet(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, value, result := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[5], 8)
	version, err := store.Set(ctx, key, value, ttl(stack[4]))
	return put(result, version, err)
}

func kvSetIf(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, value, result := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3]), read(mod, stack[6], 8)
	version, err := store.SetIf(ctx, key, value, ttl(stack[4]), stack[5])
	return put(result, version, err)
}

func kvDelete(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	return store.Delete(ctx, read(mod, stack[0], stack[1]))
}

func kvDeleteIf(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	return store.DeleteIf(ctx, read(mod, stack[0], stack[1]), stack[2])
}

func kvAdd(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, result := read(mod, stack[0], stack[1]), read(mod, stack[4], 8)
	sum, err := store.Add(ctx, key, int64(stack[2]), ttl(stack[3]))
	return put(result, uint64(sum), err)
}

func kvTake(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, result := read(mod, stack[0], stack[1]), read(mod, stack[6], 16)
	taken, err := store.Take(ctx, key, state.Bucket{
		Tokens: uint32(stack[2]), Per: time.Duration(uint32(stack[3])) * time.Millisecond, Burst: uint32(stack[4]),
	}, uint32(stack[5]))
	return putTaken(result, taken, err)
}

func kvWindow(ctx context.Context, store *state.Store, mod api.Module, stack []uint64) error {
	key, result := read(mod, stack[0], stack[1]), read(mod, stack[5], 16)
	taken, err := store.Window(ctx, key, state.Window{
		Limit: uint32(stack[2]), Per: time.Duration(uint32(stack[3])) * time.Millisecond,
	}, uint32(stack[4]))
	return putTaken(result, taken, err)
}

// putTaken writes what was taken, unless it is not known.
func putTaken(result []byte, taken state.Taken, err error) error {
	if err != nil {
		return err
	}
	const up = time.Millisecond - 1
	binary.LittleEndian.PutUint64(result, uint64((taken.RetryAfter+up)/time.Millisecond))
	binary.LittleEndian.PutUint32(result[8:], taken.Remaining)
	binary.LittleEndian.PutUint32(result[12:], 0)
	if taken.Allowed {
		result[12] = 1
	}
	return nil
}

// put writes a number, unless there is none.
func put(result []byte, n uint64, err error) error {
	if err == nil {
		binary.LittleEndian.PutUint64(result, n)
	}
	return err
}

// ttl is a guest's time to live. One that no time.Duration holds is out of bounds.
func ttl(ms uint64) time.Duration {
	if ms > uint64(state.MaxTTL/time.Millisecond) {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}
