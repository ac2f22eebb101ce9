// Package wasmtest makes guests for tests that call every function of a host.
package wasmtest

import (
	"context"
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// DriverName is the module that a Caller imports beside what it calls.
const DriverName = "driver"

// MemoryBytes is how much memory a Caller has; what its allocator returns is the
// beginning of the second half, each time.
const MemoryBytes = 1 << 17

// Call is one call of a host function: which one, in the order of the Caller, and
// its parameters.
type Call struct {
	Function int
	Params   []uint64
}

// Driver is the host module that tells a Caller what to call, whenever the host
// calls it: next returns false when that was all.
func Driver(next func() (c Call, more bool)) wasm.HostModule {
	return wasm.HostModule{Name: DriverName, Functions: []wasm.HostFunction{{
		Name: "next", Results: []api.ValueType{wasm.I32},
		Call: func(_ context.Context, mod api.Module, stack []uint64) {
			c, more := next()
			if !more {
				stack[0] = 0
				return
			}
			for i, param := range c.Params {
				mod.Memory().WriteUint64Le(uint32(8*i), param)
			}
			stack[0] = uint64(c.Function + 1)
		},
	}}}
}

// Caller is a guest, of http-wasm and proxy-wasm alike, that imports all functions
// of these modules and calls whatever the driver says: as it starts and is
// configured, and in both phases of an exchange.
func Caller(modules ...wasm.HostModule) []byte {
	m := &builder{}
	next := m.importFunction(DriverName, "next", nil, []api.ValueType{wasm.I32})
	var functions []wasm.HostFunction
	for _, module := range modules {
		for _, f := range module.Functions {
			m.importFunction(module.Name, f.Name, f.Params, f.Results)
			functions = append(functions, f)
		}
	}
	var calls []uint32
	for i, f := range functions {
		calls = append(calls, m.function(nil, nil, callOf(next+1+uint32(i), f)))
	}
	m.elements = calls
	plain := m.typeOf(nil, nil)
	run := m.function(nil, nil, dispatch(next, plain))
	i32 := wasm.I32
	m.exported("_initialize", nil, nil, call(run, ""))
	m.exported("proxy_on_configure", []api.ValueType{i32, i32}, []api.ValueType{i32}, call(run, "\x41\x01"))
	m.exported("handle_request", nil, []api.ValueType{wasm.I64}, call(run, "\x42\x01")) // i64.const 1
	m.exported("handle_response", []api.ValueType{i32, i32}, nil, call(run, ""))
	m.exported("proxy_abi_version_0_2_1", nil, nil, "")
	m.exported("proxy_on_request_headers", []api.ValueType{i32, i32, i32}, []api.ValueType{i32}, call(run, "\x41\x00"))
	m.exported("proxy_on_response_headers", []api.ValueType{i32, i32, i32}, []api.ValueType{i32}, call(run, "\x41\x00"))
	m.exported("malloc", []api.ValueType{i32}, []api.ValueType{i32}, "\x41\x80\x80\x04") // the second half
	return m.module()
}

// call is code that calls a function and goes on with rest.
func call(function uint32, rest string) string {
	return string(binary.AppendUvarint([]byte{0x10}, uint64(function))) + rest
}

// callOf is code that calls a function with what lies at the beginning of memory.
func callOf(function uint32, f wasm.HostFunction) string {
	loads := map[api.ValueType]string{wasm.I32: "\x28\x02", wasm.I64: "\x29\x03", api.ValueTypeF32: "\x2a\x02", api.ValueTypeF64: "\x2b\x03"}
	code := ""
	for i, t := range f.Params {
		code += "\x41\x00" + loads[t] + string(binary.AppendUvarint(nil, uint64(8*i)))
	}
	code += call(function, "")
	for range f.Results {
		code += "\x1a" // drop
	}
	return code
}

// dispatch is code that asks what to call next, and calls it, until that is all.
func dispatch(next, plain uint32) string {
	index := "\x23\x00"                          // global.get 0
	return "\x03\x40" + call(next, "\x24\x00") + // loop, global.set 0
		index + "\x45\x04\x40\x0f\x0b" + // if it is 0, return
		index + "\x41\x01\x6b\x11" + string(binary.AppendUvarint(nil, uint64(plain))) + "\x00" + // call_indirect (index - 1)
		"\x0c\x00\x0b" // again
}

// builder makes a module.
type builder struct {
	types, imports, functions, exports, code [][]byte
	elements                                 []uint32
	imported                                 uint32
}

func (m *builder) typeOf(params, results []api.ValueType) uint32 {
	t := appendVector(appendVector([]byte{0x60}, params), results)
	m.types = append(m.types, t)
	return uint32(len(m.types) - 1)
}

func appendVector(out, items []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(items))), items...)
}

func (m *builder) importFunction(module, name string, params, results []api.ValueType) uint32 {
	entry := append(appendVector(appendVector(nil, []byte(module)), []byte(name)), 0)
	m.imports = append(m.imports, binary.AppendUvarint(entry, uint64(m.typeOf(params, results))))
	m.imported++
	return m.imported - 1
}

func (m *builder) function(params, results []api.ValueType, code string) uint32 {
	m.functions = append(m.functions, binary.AppendUvarint(nil, uint64(m.typeOf(params, results))))
	m.code = append(m.code, appendVector(nil, []byte("\x00"+code+"\x0b")))
	return m.imported + uint32(len(m.functions)) - 1
}

func (m *builder) exported(name string, params, results []api.ValueType, code string) {
	entry := append(appendVector(nil, []byte(name)), 0)
	m.exports = append(m.exports, binary.AppendUvarint(entry, uint64(m.function(params, results, code))))
}

func (m *builder) module() []byte {
	m.exports = append(m.exports, []byte("\x06memory\x02\x00"))
	count := uint64(len(m.elements))
	table := binary.AppendUvarint([]byte{0x70, 0}, count)
	elements := binary.AppendUvarint([]byte("\x00\x41\x00\x0b"), count)
	for _, f := range m.elements {
		elements = binary.AppendUvarint(elements, uint64(f))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		entries [][]byte
	}{
		{1, m.types}, {2, m.imports}, {3, m.functions}, {4, [][]byte{table}}, {5, [][]byte{{0, MemoryBytes >> 16}}},
		{6, [][]byte{[]byte("\x7f\x01\x41\x00\x0b")}}, {7, m.exports}, {9, [][]byte{elements}}, {10, m.code},
	} {
		body := binary.AppendUvarint(nil, uint64(len(s.entries)))
		for _, entry := range s.entries {
			body = append(body, entry...)
		}
		out = appendVector(append(out, s.id), body)
	}
	return out
}
