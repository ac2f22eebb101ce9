package http1

import "github.com/ergoproxy/ergo/host/http1/socket"

// Spliceable is a body whose bytes come from a plain connection as they are, so
// that the kernel can move them: a response's of which no policy wants to see
// anything. Who sends it asks for the source, sends what is buffered, moves what
// follows by socket.Conn.Splice, tells how far that got, and asks again, until
// there is no source any more. Read then has the rest: the end, or an error.
type Spliceable interface {
	// SpliceSource returns bytes that were received already, which counts as
	// reading them, and the connection that has the next n > 0 bytes of the body.
	// ok is false if the next bytes, or the end, are to be had by Read only.
	SpliceSource() (c *socket.Conn, buffered []byte, n int64, ok bool)
	// Spliced says that n bytes were taken off c, and what stopped that if anything
	// of c's did (the error of socket.Conn.Splice, if reading failed).
	Spliced(n int64, err error)
}

// SpliceableTunnel is a tunnel that is a plain connection.
type SpliceableTunnel interface {
	// SpliceBoth returns the connection and the bytes that were received before,
	// which counts as reading them. ok is false if the tunnel is to be used by its
	// Read and Write only.
	SpliceBoth() (c *socket.Conn, buffered []byte, ok bool)
}
