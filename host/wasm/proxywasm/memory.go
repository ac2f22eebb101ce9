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
	at, st := c.room(i, len(value))
	if at != 0 && !c.mem.Write(at, value) {
		return statusInvalidMemory
	}
	if st == statusOK {
		c.tell(i, at, len(value))
	}
	return st
}

// giveText is give for what is text here.
func (c *call) giveText(i int, value string) status {
	at, st := c.room(i, len(value))
	if at != 0 && !c.mem.WriteString(at, value) {
		return statusInvalidMemory
	}
	if st == statusOK {
		c.tell(i, at, len(value))
	}
	return st
}

// room has the guest allocate memory for what is given by parameter i; 0 if there is
// nothing to be put anywhere.
func (c *call) room(i, size int) (at uint32, st status) {
	if !c.writable(c.arg(i)) || !c.writable(c.arg(i+1)) {
		return 0, statusInvalidMemory
	}
	if size == 0 || c.arg(i) == 0 {
		return 0, statusOK
	}
	if at = c.vm.alloc(size); at == 0 {
		return 0, statusInvalidMemory
	}
	return at, statusOK
}

// tell writes where room put something, and how long that is.
func (c *call) tell(i int, at uint32, size int) {
	if c.arg(i) != 0 {
		c.mem.WriteUint32Le(c.arg(i), at)
	}
	if c.arg(i+1) != 0 {
		c.mem.WriteUint32Le(c.arg(i+1), uint32(size))
	}
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
		c := v.calling
		if c == nil { // the guest's allocator calls, or this is the first time
			c = new(call)
		}
		v.calling = nil
		*c = call{of, v, mod.Memory(), stack}
		stack[0] = uint64(run(c))
		v.calling = c
	}
	return f
}
