package httpwasm

import "github.com/tetratelabs/wazero/api"

// view returns length bytes of the guest's memory. They are the memory itself,
// so they are valid only until the guest goes on. Out of range it traps.
func view(mod api.Module, offset, length uint64) []byte {
	if uint32(length) == 0 {
		return nil
	}
	b, ok := mod.Memory().Read(uint32(offset), uint32(length))
	if !ok {
		trap("%d bytes at %d are outside of the guest's memory", uint32(length), uint32(offset))
	}
	return b
}

// give writes value at offset if it fits limit, and returns its length in
// either case: a guest may ask with limit 0 and come back.
func give(mod api.Module, offset, limit uint64, value string) uint64 {
	if n := uint64(len(value)); n <= uint64(uint32(limit)) {
		copy(view(mod, offset, n), value)
	}
	return uint64(len(value))
}

// count packs the number of values and their length as the ABI returns them.
func count(values, length int) uint64 { return uint64(values)<<32 | uint64(uint32(length)) }

// equalFold compares a field's name with one in the guest's memory, ASCII
// letters without case, so that a look-up makes no string.
func equalFold(name string, b []byte) bool {
	if len(name) != len(b) {
		return false
	}
	for i := range b {
		if lower(name[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
