package capability

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// relay is a guest that hands every function of one capability on to the host,
// with a page of memory.
type relay struct {
	t        testing.TB
	instance *wasm.Instance
	module   wasm.HostModule
	x        *exchange.Exchange
}

func newRelay(t testing.TB, module wasm.HostModule, grants *policy.Granted) *relay {
	t.Helper()
	engine, err := wasm.Open(wasm.Options{Capabilities: []wasm.HostModule{module}})
	if err != nil {
		t.Fatal(err)
	}
	code := relayModule(module)
	program, err := engine.Compile(context.Background(), wasm.Source{
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(code)), Module: code, ABI: wasm.HostModule{Name: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{module.Name}
	if err := program.CheckImports(wasm.Permission{Policy: "p", Declared: allowed, Granted: allowed}); err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, module: module, x: new(exchange.Exchange)}
	r.instance, err = program.Start(context.Background(), wasm.InstanceConfig{
		MemoryBytes: 1 << 20, CallTime: 10 * time.Second, Granted: grants,
		Log: wasm.NewLog(slog.New(slog.DiscardHandler), 100), Held: new(wasm.Held),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.instance.Call().Exchange = r.x
	t.Cleanup(func() {
		_ = r.instance.Close(context.Background())
		_ = program.Close(context.Background())
		_ = engine.Close(context.Background())
	})
	return r
}

// call calls a function of the host. Strings lie in the guest's memory from 1024
// on and become a pointer and a length, ints become i32, int64s i64.
func (r *relay) call(name string, args ...any) (uint64, error) {
	stack, at := make([]uint64, 0, 16), uint32(1024)
	for _, arg := range args {
		switch v := arg.(type) {
		case int:
			stack = append(stack, uint64(uint32(v)))
		case int64:
			stack = append(stack, uint64(v))
		case string:
			if !r.instance.Memory().WriteString(at, v) {
				r.t.Fatalf("no room for %d bytes", len(v))
			}
			stack = append(stack, uint64(at), uint64(len(v)))
			at += uint32(len(v))
		}
	}
	return r.callStack(name, stack)
}

func (r *relay) callStack(name string, params []uint64) (uint64, error) {
	stack := append(params, 0)
	err := r.instance.Invoke(r.instance.Function(name), stack)
	return stack[0], err
}

func (r *relay) want(want uint64, name string, args ...any) {
	r.t.Helper()
	got, err := r.call(name, args...)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	if got != want {
		r.t.Errorf("%s%.60v returned %d, want %d", name, args, got, want)
	}
}

// memory returns bytes of the guest's memory.
func (r *relay) memory(at, length uint32) string {
	b, _ := r.instance.Memory().Read(at, length)
	return string(b)
}

// fuzz calls one of the functions with any pointers, lengths and numbers, over
// any memory. Nothing may come of it but a trap of the guest's.
func (r *relay) fuzz(which uint8, arguments [4]uint64, memory []byte) {
	r.instance.Memory().Write(1024, memory[:min(len(memory), 32<<10)])
	f := r.module.Functions[int(which)%len(r.module.Functions)]
	params := arguments[:len(f.Params)]
	for i, t := range f.Params {
		if t == wasm.I32 {
			params[i] = uint64(uint32(params[i]))
		}
	}
	if _, err := r.callStack(f.Name, params[:len(params):len(params)]); err != nil && !isOutside(err) {
		r.t.Errorf("%s%v: %v", f.Name, params, err)
	}
}

// relayModule is a module in the binary format that imports all functions of a
// host module, and exports a function for each that calls it.
func relayModule(host wasm.HostModule) []byte {
	var types, imports, functions, exports, code [][]byte
	n := len(host.Functions)
	for i, f := range host.Functions {
		index := byte(i)
		types = append(types, join([]byte{0x60}, sized(f.Params), sized(f.Results)))
		imports = append(imports, join(sized([]byte(host.Name)), sized([]byte(f.Name)), []byte{0x00, index}))
		functions = append(functions, []byte{index})
		exports = append(exports, join(sized([]byte(f.Name)), []byte{0x00, byte(n + i)}))
		body := []byte{0x00} // no locals
		for p := range f.Params {
			body = append(body, 0x20, byte(p)) // local.get
		}
		body = append(body, 0x10, index, 0x0b) // call, end
		code = append(code, sized(body))
	}
	exports = append(exports, join(sized([]byte("memory")), []byte{0x02, 0x00}))
	return join([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, types), section(2, imports), section(3, functions),
		section(5, [][]byte{{0x00, 0x01}}), section(7, exports), section(10, code))
}

// section is a section of the binary format that holds a vector of items.
func section(id byte, items [][]byte) []byte {
	content := join(append([][]byte{leb(len(items))}, items...)...)
	return join([]byte{id}, sized(content))
}

// sized is bytes, or value types, after their number.
func sized[T ~[]byte](b T) []byte { return join(leb(len(b)), b) }

// leb is a number in the variable length of the binary format (unsigned LEB128).
func leb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
