package wasm

import (
	"context"
	"fmt"
	"unicode/utf16"

	"github.com/tetratelabs/wazero/api"
)

// Abort is AssemblyScript's env.abort(message, file, line, column): it traps the
// guest with what it says. The texts are UTF-16, with their length in bytes in
// the word before them.
func Abort() HostFunction {
	return HostFunction{
		Name:   "abort",
		Params: []api.ValueType{I32, I32, I32, I32},
		Call: func(_ context.Context, mod api.Module, stack []uint64) {
			panic(fmt.Errorf("abort: %s at %s:%d:%d", scriptText(mod, stack[0]), scriptText(mod, stack[1]),
				uint32(stack[2]), uint32(stack[3])))
		},
	}
}

// maxAbortBytes bounds what of a text is shown.
const maxAbortBytes = 1 << 10

// scriptText reads a string of AssemblyScript's, "" if there is none to read.
func scriptText(mod api.Module, at uint64) string {
	length, ok := mod.Memory().ReadUint32Le(uint32(at) - 4)
	if at == 0 || !ok {
		return ""
	}
	b, ok := mod.Memory().Read(uint32(at), min(length, maxAbortBytes)&^1)
	if !ok {
		return ""
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return string(utf16.Decode(units))
}
