package guest

import "strings"

// firstTry is the room of the first try; most methods, targets and header values
// fit, so that one call is enough.
const firstTry = 256

// read calls a getter of the host, which writes only what fits and always returns
// the length it needs.
func read(get func(buf []byte) uint32) []byte {
	buf := make([]byte, firstTry)
	for {
		length := get(buf)
		if int(length) <= len(buf) {
			return buf[:length]
		}
		buf = make([]byte, length)
	}
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
