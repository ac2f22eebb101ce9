package http1

import "github.com/ergoproxy/ergo/host/http1/socket"

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

// Ready is a body that knows whether its next Read has to wait. What is on its
// way to a reader can be held back until it has.
type Ready interface {
	// Ready reports that the next Read has bytes, or the end, at once.
	Ready() bool
}
