package exchange

import "unsafe"

// Arena holds text that is made for one exchange and lives as long as it: a
// request id, a list with a member more. What it returns must not be kept beyond
// that; who keeps it clones it. The zero value is empty and ready for use. It is
// not safe for concurrent use.
type Arena struct{ free []byte }

const (
	arenaChunk = 2 << 10
	maxArena   = 64 << 10 // what is kept for the next exchange
)

// Concat returns the parts joined.
func (a *Arena) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := a.Bytes(n)[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	return unsafe.String(unsafe.SliceData(b), n)
}

// String returns a copy of b.
func (a *Arena) String(b []byte) string {
	dst := a.Bytes(len(b))
	copy(dst, b)
	return unsafe.String(unsafe.SliceData(dst), len(dst))
}

// Bytes returns n bytes of any content, to be written once and then read.
func (a *Arena) Bytes(n int) []byte {
	if len(a.free)+n > cap(a.free) {
		a.free = make([]byte, 0, max(n, arenaChunk, min(2*cap(a.free), maxArena)))
	}
	start := len(a.free)
	a.free = a.free[:start+n]
	return a.free[start : start+n : start+n]
}

// Reset takes all text back and keeps the memory. Text of before that somebody
// still holds is overwritten sooner or later: under the race detector at once,
// so that tests find it.
func (a *Arena) Reset() {
	if cap(a.free) > maxArena {
		a.free = nil
		return
	}
	Poison(a.free)
	a.free = a.free[:0]
}
