package http1

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// input is what was read of a connection. The request's head is in the same
// buffer as a rule, and is not overwritten before the exchange is over.
type input struct {
	buf   []byte
	start int    // what is before it stays
	pos   int    // what is before it was consumed
	end   int    // what is before it was read
	head  []byte // the head's buffer, if buf is another one
}

func (in *input) begin(buf []byte, n int) {
	in.buf, in.start, in.pos, in.end = buf, 0, 0, n
}

// fresh returns what was read and not consumed.
func (in *input) fresh() []byte { return in.buf[in.pos:in.end] }

func (in *input) empty() bool { return in.pos == in.end }

// keepHead has what is behind the head be consumed next, and what is before stay.
func (in *input) keepHead(size int) { in.start, in.pos = size, size }

// grow makes room for a head that fills the buffer.
func (in *input) grow(b *socket.Buffers, limit int) {
	in.exchange(b, make([]byte, min(2*len(in.buf), max(limit, len(in.buf)+1))))
}

// exchange goes on with another buffer.
func (in *input) exchange(b *socket.Buffers, next []byte) {
	copy(next, in.buf[:in.end])
	b.Give(in.buf)
	in.buf = next
}

// minRoom is the least that is read into for a body.
const minRoom = 4 << 10

// room returns where more of a body can be read to, behind what is fresh.
func (in *input) room(b *socket.Buffers) []byte {
	waiting := in.fresh()
	switch {
	case len(waiting) == 0:
		in.pos, in.end = in.start, in.start
	case len(in.buf)-in.end < minRoom:
		in.pos, in.end = in.start, in.start+copy(in.buf[in.start:], waiting)
	}
	if len(in.buf)-in.end >= minRoom {
		return in.buf[in.end:]
	}
	if in.head == nil {
		next := b.Take()
		if len(waiting) > len(next)-minRoom {
			next = make([]byte, len(waiting)+b.Size)
		}
		in.head, in.pos, in.end = in.buf, 0, copy(next, in.fresh())
		in.buf, in.start = next, 0
	} else { // a trailer section fills it
		in.exchange(b, make([]byte, 2*len(in.buf)))
	}
	return in.buf[in.end:]
}

// rest returns what was read beyond the request, at the begin of a buffer, or
// nothing.
func (in *input) rest(b *socket.Buffers) (buf []byte, n int) {
	if in.pos < in.end {
		buf, n = in.buf, copy(in.buf, in.fresh())
		exchange.Poison(buf[n:])
		in.buf = nil
	}
	in.release(b)
	return buf, n
}

// release gives the buffers back.
func (in *input) release(b *socket.Buffers) {
	if in.buf != nil {
		b.Give(in.buf)
	}
	if in.head != nil {
		b.Give(in.head)
	}
	*in = input{}
}
