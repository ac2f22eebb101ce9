package proxywasm

import (
	"bytes"
	"encoding/binary"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Bounds of a map that comes from a guest (proxy-wasm-cpp-host, limits.h).
const (
	maxPairs     = 1024
	maxPairBytes = 1 << 20
)

// parsePairs reads what property.AppendPairs writes. No bytes, and what is not sound, are
// no pairs, as in the reference host. The fields are copies.
func parsePairs(data []byte) []exchange.Field {
	if len(data) < 4 || len(data) > maxPairBytes {
		return nil
	}
	count := binary.LittleEndian.Uint32(data)
	if count == 0 || count > maxPairs || uint64(len(data)) < 4+8*uint64(count) {
		return nil
	}
	lengths, rest := data[4:4+8*count], string(data[4+8*count:])
	fields := make([]exchange.Field, 0, count)
	for ; len(lengths) > 0; lengths = lengths[8:] {
		var f exchange.Field
		var ok [2]bool
		f.Name, rest, ok[0] = cutPair(rest, binary.LittleEndian.Uint32(lengths))
		f.Value, rest, ok[1] = cutPair(rest, binary.LittleEndian.Uint32(lengths[4:]))
		if !ok[0] || !ok[1] {
			return nil
		}
		fields = append(fields, f)
	}
	return fields
}

// isNone reports whether data says that there are no pairs, in one of the ways that
// SDKs say so: nothing, a NUL, a number of 0.
func isNone(data []byte) bool {
	return len(data) <= 4 && len(bytes.Trim(data, "\x00")) == 0
}

func cutPair(s string, length uint32) (part, rest string, ok bool) {
	if uint64(length)+1 > uint64(len(s)) || s[length] != 0 {
		return "", "", false
	}
	return s[:length], s[length+1:], true
}
