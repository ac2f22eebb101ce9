package message

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unsafe"
)

// What a byte may stand in.
const (
	inToken  uint8 = 1 << iota // RFC 9110, 5.6.2
	inTarget                   // of a request: no white space, control character or fragment
	inText                     // of a field value or reason phrase: RFC 9110, 5.5
	inHost                     // of a host's name: as exchange.ValidAuthority has it
)

// classes tells of each byte what it may stand in.
var classes = func() (table [256]uint8) {
	for i := range table {
		c := byte(i)
		if isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			table[i] |= inToken
		}
		if isAlphanumeric(c) || strings.IndexByte("-._~%", c) >= 0 {
			table[i] |= inHost
		}
		if c > ' ' && c != 0x7f && c != '#' {
			table[i] |= inTarget
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			table[i] |= inText
		}
	}
	return table
}()

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// skip returns the index of the first byte from i on that is not of the class.
func skip(b []byte, i int, class uint8) int {
	for uint(i) < uint(len(b)) && classes[b[i]]&class != 0 {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// below marks the bytes of x that are less than n <= 128: the lowest mark is
// right, those above it may not be.
func below(x uint64, n uint64) uint64 { return (x - ones*n) &^ x & highs }

// equal marks the bytes of x that are c, as below does.
func equal(x uint64, c uint64) uint64 { return below(x^ones*c, 1) }

// skipText is skip for inText, eight bytes at a time.
func skipText(b []byte, i int) int {
	for uint(i)+8 <= uint(len(b)) {
		x := binary.LittleEndian.Uint64(b[i : i+8])
		m := below(x, ' ') | equal(x, 0x7f)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	return skip(b, i, inText)
}

// skipTarget is skip for inTarget, eight bytes at a time.
func skipTarget(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		if m := below(x, ' '+1) | equal(x, 0x7f) | equal(x, '#'); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	return skip(b, i, inTarget)
}

// view returns b as a string without a copy: b must not be written to for as
// long as anybody reads it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
