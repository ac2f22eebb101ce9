package http1

import (
	"os"

	"github.com/ergoproxy/ergo/host/http1/socket"
)

// Spliceable is a body, or a tunnel, whose next bytes can be had without Read:
// some wait in memory, others can be moved by the kernel. What wraps a body and
// does not look at its bytes passes both methods on.
type Spliceable interface {
	// SpliceSource lends the body's next bytes: first waiting, which was read from
	// the connection before, then n more that c will bring without anything between.
	// Of a tunnel n is exchange.UnknownLength: all until the end. c is nil if they
	// can only be had by Read. If ok is false there is nothing to lend: use Read.
	//
	// Nobody reads the body, or asks again, before Spliced says what became of it.
	// The caller keeps the deadline of the exchange's Life: the body has told c.
	SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool)
	// Spliced says that the first n bytes of what was lent, those in memory before
	// those of c, were taken, and how c failed: nil if it did not, or if what failed
	// was where they went. Read goes on after them, to io.EOF if nothing is left.
	Spliced(n int64, err error)
}

// InMemory is a body some of which can be written from where it is.
type InMemory interface {
	// Unread lends the body's next bytes, until it is closed; none: use Read. Nobody
	// reads the body before Skip says how many of them were taken.
	Unread() []byte
	Skip(n int)
}

// OnFile is a body that the kernel can move from a file.
type OnFile interface {
	// File returns a file at the place of the body's next byte, and how many are left.
	// Nobody reads the body before Sent says how many of them were taken, which
	// has moved the file's place.
	File() (f *os.File, n int64)
	Sent(n int64)
}

// Ready is a body that knows whether its next Read has to wait. What is on its
// way to a reader can be held back until it has.
type Ready interface {
	// Ready reports that the next Read has bytes, or the end, at once.
	Ready() bool
}
