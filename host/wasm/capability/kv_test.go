package capability

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/wasm"
)

//go:embed testdata/kv.wasm
var kvModule []byte

var kvLimits = state.Limits{Keys: 1000, Bytes: 1 << 20, ValueBytes: 1000}

// kvProgram compiles the guest that hands on.
func kvProgram(t testing.TB, options wasm.Options) *wasm.Program {
	t.Helper()
	options.Capabilities = []wasm.HostModule{KV()}
	engine, err := wasm.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	program, err := engine.Compile(context.Background(), wasm.Source{
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(kvModule)), Module: kvModule, ABI: wasm.HostModule{Name: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"ergo_kv"}
	if err := program.CheckImports(wasm.Permission{Policy: "p", Declared: all, Granted: all}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Close(context.Background())
		_ = engine.Close(context.Background())
	})
	return program
}

// rememberer is one instance of it.
type rememberer struct {
	t         testing.TB
	instance  *wasm.Instance
	functions map[string]api.Function
}

func newRememberer(t testing.TB, program *wasm.Program, kv *policy.KV) *rememberer {
	t.Helper()
	return newRemembererFor(t, program, kv, 10*time.Second)
}

func newRemembererFor(t testing.TB, program *wasm.Program, kv *policy.KV, callTime time.Duration) *rememberer {
	t.Helper()
	instance, err := program.Start(context.Background(), wasm.InstanceConfig{
		MemoryBytes: 1 << 20, CallTime: callTime, Granted: &policy.Granted{KV: kv},
		Log: wasm.NewLog(slog.New(slog.DiscardHandler), 1), Held: new(wasm.Held),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close(context.Background()) })
	instance.Call().Exchange = new(exchange.Exchange)
	r := &rememberer{t: t, instance: instance, functions: map[string]api.Function{}}
	for _, f := range KV().Functions {
		r.functions[f.Name] = instance.Function(f.Name)
	}
	return r
}

func local(limits state.Limits) *policy.KV {
	return &policy.KV{Store: state.NewRegistry(state.Options{}).Local("p", limits)}
}

// Where a guest's things lie in its memory.
const (
	atResult = 512
	atKey    = 1024
	atValue  = 4096
	atBuffer = 8192
)

func (r *rememberer) at(place uint32, text string) []uint64 {
	r.t.Helper()
	if !r.instance.Memory().WriteString(place, text) {
		r.t.Fatalf("no room for %d bytes", len(text))
	}
	return []uint64{uint64(place), uint64(len(text))}
}

func (r *rememberer) invoke(name string, params ...uint64) (uint64, error) {
	stack := append(params[:len(params):len(params)], 0)
	err := r.instance.Invoke(r.functions[name], stack)
	return stack[0], err
}

func (r *rememberer) want(want status, name string, key string, params ...uint64) {
	r.t.Helper()
	got, err := r.invoke(name, append(r.at(atKey, key), params...)...)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	if got != want {
		r.t.Errorf("%s of %.20q, %v: got status %d, want %d", name, key, params, got, want)
	}
}

// result is the number that was written at an offset.
func (r *rememberer) result(offset uint32) uint64 {
	n, _ := r.instance.Memory().ReadUint64Le(atResult + offset)
	return n
}

func (r *rememberer) set(want status, key, value string, ttl uint64) (version uint64) {
	r.t.Helper()
	r.want(want, "set", key, append(r.at(atValue, value), ttl, atResult)...)
	return r.result(0)
}

func (r *rememberer) setIf(want status, key, value string, version uint64) uint64 {
	r.t.Helper()
	r.want(want, "set_if", key, append(r.at(atValue, value), 0, version, atResult)...)
	return r.result(0)
}

func (r *rememberer) get(key, want string) (version uint64) {
	r.t.Helper()
	r.want(ok, "get", key, atBuffer, 100, atResult)
	value, _ := r.instance.Memory().Read(atBuffer, uint32(r.result(8)))
	if string(value) != want {
		r.t.Errorf("%s: got %q, want %q", key, value, want)
	}
	return r.result(0)
}

func TestKVValues(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{}), local(kvLimits))
	r.want(notFound, "get", "k", atBuffer, 100, atResult)
	first := r.set(ok, "k", "one", 0)
	if got := r.get("k", "one"); got != first || first == 0 {
		t.Errorf("got version %d, want %d", got, first)
	}
	r.setIf(changed, "k", "two", 0)
	r.setIf(changed, "k", "two", first+1)
	second := r.setIf(ok, "k", "two", first)
	if got := r.get("k", "two"); got != second || second == first {
		t.Errorf("got version %d, want %d", got, second)
	}
	r.setIf(ok, "new", "", 0)
	r.get("new", "")

	r.at(atBuffer, "xxx")
	r.want(ok, "get", "k", atBuffer, 2, atResult) // too short
	if got, _ := r.instance.Memory().Read(atBuffer, 3); string(got) != "xxx" || uint32(r.result(8)) != 3 {
		t.Errorf("a value that does not fit: %q, length %d", got, uint32(r.result(8)))
	}

	r.want(changed, "delete_if", "k", first)
	r.want(ok, "delete_if", "k", second)
	r.want(notFound, "delete_if", "k", second)
	r.want(ok, "delete", "new")
	r.want(notFound, "delete", "new")
}

func TestKVCounters(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{}), local(kvLimits))
	add := func(want status, delta int64, sum int64) {
		t.Helper()
		r.want(want, "add", "n", uint64(delta), 60_000, atResult)
		if got := int64(r.result(0)); want == ok && got != sum {
			t.Errorf("got %d, want %d", got, sum)
		}
	}
	add(ok, 5, 5)
	add(ok, -7, -2)
	add(ok, math.MinInt64+2, math.MinInt64)
	add(overflow, -1, 0)
	r.want(wrongKind, "get", "n", atBuffer, 100, atResult)
	r.set(ok, "value", "v", 0)
	r.want(wrongKind, "add", "value", 1, 0, atResult)
}

func TestKVBuckets(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{}), local(kvLimits))
	take := func(n uint64, allowed, remaining uint32, retry uint64) {
		t.Helper()
		r.want(ok, "take", "b", 1, 3_600_000, 3, n, atResult)
		got := r.result(8)
		if uint32(got>>32) != allowed || uint32(got) != remaining {
			t.Errorf("take %d: allowed %d with %d left, want %d, %d", n, got>>32, uint32(got), allowed, remaining)
		}
		if wait := r.result(0); wait > retry || wait+1000 < retry {
			t.Errorf("take %d: retry after %d ms, want about %d", n, wait, retry)
		}
	}
	take(2, 1, 1, 0)
	take(2, 0, 1, 3_600_000)
	take(1, 1, 0, 0)
	take(3, 0, 0, 3*3_600_000)
	r.want(badArgument, "take", "b", 1, 1000, 3, 4, atResult)
	r.want(badArgument, "take", "b", 0, 1000, 3, 1, atResult)
	r.want(badArgument, "take", "b", 1, 0, 3, 1, atResult)
}

func TestKVWindow(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{}), local(kvLimits))
	r.want(ok, "window", "w", 3, 3_600_000, 2, atResult)
	if got := r.result(8); got != 1<<32|1 {
		t.Errorf("got %x, want 2 admitted and 1 left", got)
	}
	r.want(ok, "window", "w", 3, 3_600_000, 2, atResult)
	if got, wait := r.result(8), r.result(0); got != 1 || wait < 3_600_000-1000 || wait > 3_600_000+36_000 {
		t.Errorf("got %x, retry after %d ms, want a refusal for an hour", got, wait)
	}
	r.want(badArgument, "window", "w", 3, 1000, 4, atResult)
	r.want(badArgument, "window", "w", 0, 1000, 0, atResult)
	r.want(badArgument, "window", "w", 3, 0, 1, atResult)
	r.want(wrongKind, "add", "w", 1, 0, atResult)
}

// TestKVStandIn has this process's own store stand in for one that is gone.
func TestKVStandIn(t *testing.T) {
	nowhere := state.NewRegistry(state.Options{}).Remote("p", kvLimits)
	r := newRememberer(t, kvProgram(t, wasm.Options{}), &policy.KV{Store: nowhere, StandIn: local(kvLimits).Store})
	for want := uint64(1); want < 4; want++ {
		r.want(ok, "add", "n", 1, 0, atResult)
		if got := r.result(0); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestKVBounds(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{}), local(state.Limits{Keys: 1, Bytes: 1 << 20, ValueBytes: 10}))
	long := strings.Repeat("k", state.MaxKeyBytes+1)
	for _, key := range []string{"", long} {
		r.want(badArgument, "get", key, atBuffer, 100, atResult)
		r.want(badArgument, "delete", key)
		r.want(badArgument, "add", key, 1, 0, atResult)
		r.set(badArgument, key, "v", 0)
	}
	r.set(badArgument, "k", "elevenbytes", 0)
	r.set(badArgument, "k", "v", uint64(state.MaxTTL/time.Millisecond)+1)
	r.set(badArgument, "k", "v", math.MaxUint64)
	r.set(ok, long[1:], "ten bytes.", uint64(state.MaxTTL/time.Millisecond))
	r.set(full, "another", "v", 0)
	r.want(full, "add", "another", 1, 0, atResult)
}

func TestKVRangesOutsideOfMemoryTrap(t *testing.T) {
	program := kvProgram(t, wasm.Options{})
	for _, tc := range []struct {
		name   string
		params []uint64
	}{
		{"get", []uint64{outside, 1, 0, 0, 0}},
		{"get", []uint64{0, 1, outside, 1, 0}},
		{"get", []uint64{0, 1, 0, 1, 65536 - 11}},
		{"set", []uint64{0, 1, 0, outside, 0, 0}},
		{"set", []uint64{0, 1, 0, 1, 0, 65536 - 7}},
		{"set_if", []uint64{0, 1, 0, 1, 0, 0, outside}},
		{"delete", []uint64{65535, 2}},
		{"delete_if", []uint64{0, 0xffffffff, 0}},
		{"add", []uint64{0, 1, 1, 0, outside}},
		{"take", []uint64{0, 1, 1, 1000, 1, 1, 65536 - 15}},
		{"window", []uint64{0, 1, 1, 1000, 1, 65536 - 15}},
	} {
		kv := local(kvLimits)
		r := newRememberer(t, program, kv)
		_, err := r.invoke(tc.name, tc.params...)
		var fault *wasm.Fault
		if !errors.As(err, &fault) || fault.Kind != wasm.Trapped || !strings.Contains(err.Error(), "outside of the guest's memory") {
			t.Errorf("%s%v: got %v, want a trap", tc.name, tc.params, err)
		}
		if _, _, err := kv.Store.Get(t.Context(), []byte{0}); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s%v: it did something before it trapped: %v", tc.name, tc.params, err)
		}
	}
}

// While the shared store is gone a call fails once the guest has returned, and is
// not the guest's fault: its instance lives on.
func TestKVUnavailable(t *testing.T) {
	program := kvProgram(t, wasm.Options{})
	nowhere := state.NewRegistry(state.Options{}).Remote("p", kvLimits)
	fails := newRememberer(t, program, &policy.KV{Store: nowhere})
	for _, f := range KV().Functions {
		params := append(fails.at(atKey, "k"), make([]uint64, len(f.Params)-2)...)
		if f.Name == "take" {
			copy(params[2:], []uint64{1, 1000, 1, 1})
		}
		if f.Name == "window" {
			copy(params[2:], []uint64{1, 1000, 1})
		}
		got, err := fails.invoke(f.Name, params...)
		var fault *wasm.Fault
		if !errors.As(err, &fault) || fault.Kind != wasm.Unavailable || !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s: got %v, want a fault of kind %v", f.Name, err, wasm.Unavailable)
		}
		if got != unavailable {
			t.Errorf("%s: the guest got status %d, want %d", f.Name, got, unavailable)
		}
	}
	if fails.instance.Spent() {
		t.Error("the instance is spent")
	}

	told := newRememberer(t, program, &policy.KV{Store: nowhere, Tell: true})
	told.want(unavailable, "get", "k", atBuffer, 100, atResult)
	fails.instance.Call().Exchange = nil // while it starts, or at a tick, nobody's exchange can fail
	fails.want(unavailable, "get", "k", atBuffer, 100, atResult)
}

// Without an exchange nothing bounds a guest that asks again and again but its own
// time, which therefore goes on.
func TestKVWithoutAnExchangeTakesTheGuestsTime(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	registry := state.NewRegistry(state.Options{Redis: &state.RedisOptions{
		Address: silent.Addr().String(), Timeout: 200 * time.Millisecond, Connections: 4, Prefix: "ergo",
	}})
	t.Cleanup(func() { _ = registry.Close() })
	kv := &policy.KV{Store: registry.Remote("p", kvLimits), Tell: true}
	r := newRemembererFor(t, kvProgram(t, wasm.Options{}), kv, 100*time.Millisecond)
	r.want(unavailable, "get", "k", atBuffer, 100, atResult)
	r.instance.Call().Exchange = nil
	if _, err := r.invoke("get", append(r.at(atKey, "k"), atBuffer, 100, atResult)...); !errors.Is(err, wasm.ErrTime) {
		t.Errorf("without an exchange: got %v, want %v", err, wasm.ErrTime)
	}
}

// The guest's clock stands still while Redis is asked, and the exchange's end ends
// the wait.
func TestKVInRedis(t *testing.T) {
	server := hosttest.StartRedis(t)
	registry := state.NewRegistry(state.Options{Redis: &state.RedisOptions{
		Address: server.Address, Timeout: 5 * time.Second, Connections: 4, Prefix: "ergo",
	}})
	t.Cleanup(func() { _ = registry.Close() })
	r := newRememberer(t, kvProgram(t, wasm.Options{}), &policy.KV{Store: registry.Remote("p", kvLimits)})
	version := r.set(ok, "k", "v", 60_000)
	if got := r.get("k", "v"); got != version {
		t.Errorf("got version %d, want %d", got, version)
	}
	r.want(ok, "add", "n", 3, 0, atResult)
	r.want(ok, "take", "b", 1, 1000, 1, 1, atResult)

	life := new(exchange.Life)
	r.instance.Call().Exchange.Begin(life)
	life.End(errors.New("the client left"))
	begun := time.Now()
	_, err := r.invoke("add", append(r.at(atKey, "n"), 1, 0, atResult)...)
	if !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("after the exchange's end: got %v, want ErrUnavailable", err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it waited for %v", took)
	}
}

func TestKVAllocatesNothing(t *testing.T) {
	r := newRememberer(t, kvProgram(t, wasm.Options{Unmetered: true}), local(kvLimits))
	r.set(ok, "value", "v", 0)
	value := r.at(atKey, "value")
	counter := r.at(atValue, "counter")
	add, get := r.functions["add"], r.functions["get"]
	var stack [6]uint64
	run := func() {
		stack = [6]uint64{counter[0], counter[1], 1, 0, atResult}
		_ = r.instance.Invoke(add, stack[:5])
		stack = [6]uint64{value[0], value[1], atBuffer, 100, atResult}
		_ = r.instance.Invoke(get, stack[:5])
	}
	run()
	if got := testing.AllocsPerRun(100, run); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
	if sum := r.result(0); sum == 0 {
		t.Error("nothing was added")
	}
}

// Instances of one policy count together.
func TestHammerKV(t *testing.T) {
	const instances, turns = 8, 300
	program, kv := kvProgram(t, wasm.Options{}), local(kvLimits)
	var work sync.WaitGroup
	for range instances {
		r := newRememberer(t, program, kv)
		work.Go(func() {
			for range turns {
				r.want(ok, "add", "n", 1, 0, atResult)
				r.set(ok, "k", "v", 1000)
				r.get("k", "v")
			}
		})
	}
	work.Wait()
	if sum, err := kv.Store.Add(t.Context(), []byte("n"), 0, 0); sum != instances*turns || err != nil {
		t.Errorf("got %d, %v, want %d", sum, err, instances*turns)
	}
}

// FuzzKV calls every function with any pointers, lengths and numbers, over a
// memory and a state of any content.
func FuzzKV(f *testing.F) {
	program := kvProgram(f, wasm.Options{})
	f.Add(uint8(0), []byte("\x00\x04\x00\x00\x01\x00\x00\x00"), []byte("k"))
	f.Add(uint8(1), bytes.Repeat([]byte("\x00\x04\x00\x00\x01\x00\x00\x00"), 3), []byte("key"))
	f.Add(uint8(2), bytes.Repeat([]byte{0xff}, 56), []byte{})
	f.Add(uint8(5), bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0x80}, 5), []byte{})
	f.Add(uint8(6), bytes.Repeat([]byte{1, 2, 0, 0, 0, 0, 0, 0}, 7), bytes.Repeat([]byte("k"), 600))
	f.Fuzz(func(t *testing.T, which uint8, numbers, memory []byte) {
		kv := local(kvLimits)
		r := newRememberer(t, program, kv)
		r.instance.Memory().Write(atKey, memory[:min(len(memory), 32<<10)])
		function := KV().Functions[int(which)%len(KV().Functions)]
		params := make([]uint64, len(function.Params))
		for i := range params {
			var number [8]byte
			numbers = numbers[copy(number[:], numbers):]
			params[i] = binary.LittleEndian.Uint64(number[:])
			if function.Params[i] == wasm.I32 {
				params[i] = uint64(uint32(params[i]))
			}
		}
		status, err := r.invoke(function.Name, params...)
		if err != nil && !strings.Contains(err.Error(), "outside of the guest's memory") {
			t.Errorf("%s%v: %v", function.Name, params, err)
		}
		if err == nil && (status > unavailable || status == tooLate) {
			t.Errorf("%s%v: status %d", function.Name, params, status)
		}
	})
}
