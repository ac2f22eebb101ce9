package guest

import "strings"

// scratch is the room of a first try, which most values fit, so that one call is
// enough. All share it, because an instance runs one call at a time.
var scratch [2048]byte

// read calls a getter of the host, which writes only what fits and always returns
// the length it needs. The result is valid until the next call.
func read(get func(buf []byte) uint32) []byte {
	length := get(scratch[:])
	if int(length) <= len(scratch) {
		return scratch[:length]
	}
	for {
		buf := make([]byte, length)
		if length = get(buf); int(length) <= len(buf) {
			return buf[:length]
		}
	}
}

// none is the length of a value that there is not.
const none = 1<<32 - 1

// readFound is read for a getter that may find nothing.
func readFound(get func(buf []byte) uint32) (value string, found bool) {
	found = true
	bytes := read(func(buf []byte) uint32 {
		length := get(buf)
		if found = length != none; !found {
			return 0
		}
		return length
	})
	return string(bytes), found
}

// readList calls a getter that returns count<<32 | length and writes values that
// end with NUL each.
func readList(get func(buf []byte) uint64) []string {
	var count int
	joined := string(read(func(buf []byte) uint32 {
		result := get(buf)
		count = int(result >> 32)
		return uint32(result)
	}))
	values := make([]string, 0, count)
	for range count {
		value, rest, _ := strings.Cut(joined, "\x00")
		values = append(values, value)
		joined = rest
	}
	return values
}
