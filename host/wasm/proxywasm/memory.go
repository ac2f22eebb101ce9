package proxywasm

import (
	"context"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// call is a guest's call of a host function: the vm that it comes from and what it
// passes. A function reads its parameters with arg, and returns results by writing
// them to where pointers among them say.
type call struct {
	of    *wasm.Call
	vm    *vm
	mem   api.Memory
	stack []uint64
}

func (c *call) arg(i int) uint32 { return uint32(c.stack[i]) }

// bytes returns the guest's memory that parameters i and i+1 name. It is valid only
// until the guest goes on, or allocates.
func (c *call) bytes(i int) (b []byte, ok bool) {
	if c.arg(i+1) == 0 {
		return nil, true
	}
	return c.mem.Read(c.arg(i), c.arg(i+1))
}

// text returns a copy of what bytes returns.
func (c *call) text(i int) (s string, ok bool) {
	b, ok := c.bytes(i)
	return c.of.String(b), ok
}

// putU32 writes a number to where parameter i points.
func (c *call) putU32(i int, value uint32) status {
	if !c.mem.WriteUint32Le(c.arg(i), value) {
		return statusInvalidMemory
	}
	return statusOK
}

func (c *call) putU64(i int, value uint64) status {
	if !c.mem.WriteUint64Le(c.arg(i), value) {
		return statusInvalidMemory
	}
	return statusOK
}

// give puts a value into memory that the guest allocates and owns from then on, and
// writes its place and length to where parameters i and i+1 point. An empty value
// has no place, and the allocator is not asked. A pointer of 0 wants nothing.
func (c *call) give(i int, value []byte) status {
	place, size := c.arg(i), c.arg(i+1)
	if !c.writable(place) || !c.writable(size) {
		return statusInvalidMemory
	}
	var at uint32
	if len(value) > 0 && place != 0 {
		if at = c.vm.alloc(len(value)); at == 0 {
			return statusInvalidMemory
		}
		if !c.mem.Write(at, value) {
			return statusInvalidMemory
		}
	}
	if place != 0 {
		c.mem.WriteUint32Le(place, at)
	}
	if size != 0 {
		c.mem.WriteUint32Le(size, uint32(len(value)))
	}
	return statusOK
}

// writable reports whether four bytes can be written at a place, or nothing is
// wanted there.
func (c *call) writable(at uint32) bool {
	_, ok := c.mem.ReadUint32Le(at)
	return ok || at == 0
}

// function makes a host function of the ABI, with the types of its parameters: i
// for i32, l for i64. All return a status.
func function(name, params string, run func(*call) status) wasm.HostFunction {
	f := wasm.HostFunction{Name: name, Results: []api.ValueType{wasm.I32}}
	for _, p := range params {
		if p == 'l' {
			f.Params = append(f.Params, wasm.I64)
		} else {
			f.Params = append(f.Params, wasm.I32)
		}
	}
	f.Call = func(ctx context.Context, mod api.Module, stack []uint64) {
		of := wasm.CallOf(ctx)
		v := of.Guest.(*vm)
		if v.starting && name != "proxy_log" {
			stack[0] = uint64(statusInternal)
			return
		}
		c := call{of, v, mod.Memory(), stack}
		stack[0] = uint64(run(&c))
	}
	return f
}
