package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"github.com/ergoproxy/ergo/host/exchange"
)

// ReadError says that the connection that bytes came from broke, not the one
// that they went to.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "read: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// CanSplice reports whether Splice moves bytes from from to c without passing
// them through the process: both are plain TCP, and the system has splice(2).
func (c *Conn) CanSplice(from *Conn) bool {
	_, to := c.conn.(*net.TCPConn)
	_, of := from.conn.(*net.TCPConn)
	return to && of && runtime.GOOS == "linux"
}

// Splice moves n bytes from from to c, fewer with an error. It is a *ReadError if
// from broke, with io.ErrUnexpectedEOF if it only ended too early. The deadlines
// of both hold for the whole call.
func (c *Conn) Splice(from *Conn, n int64) (moved int64, err error) {
	c.rest.R, c.rest.N = from.conn, n
	moved, err = io.Copy(c.conn, &c.rest)
	c.rest.R = nil
	switch {
	case err == nil && moved < n:
		return moved, &ReadError{io.ErrUnexpectedEOF}
	case err != nil && !c.broke(from, err):
		return moved, &ReadError{err}
	}
	return moved, err
}

// CanSendFile reports whether SendFile moves bytes without passing them through the
// process: c is plain TCP, and the system's sendfile(2) waits as splice(2) does.
func (c *Conn) CanSendFile() bool {
	_, plain := c.conn.(*net.TCPConn)
	return plain && runtime.GOOS == "linux"
}

// SendFile moves the n bytes of a file that are at its place, fewer with an error. It is a
// *ReadError if the file broke, with io.ErrUnexpectedEOF if it is too short.
func (c *Conn) SendFile(from *os.File, n int64) (moved int64, err error) {
	c.rest.R, c.rest.N = from, n
	moved, err = io.Copy(c.conn, &c.rest)
	c.rest.R = nil
	switch {
	case err == nil && moved < n:
		return moved, &ReadError{io.ErrUnexpectedEOF}
	case errors.Is(err, syscall.EIO):
		return moved, &ReadError{err}
	}
	return moved, err
}

// broke reports whether err of a splice is c's own: the system does not tell.
func (c *Conn) broke(from *Conn, err error) bool {
	switch {
	case errors.Is(err, syscall.EPIPE):
		return true
	case IsTimeout(err):
		now := exchange.Clock()
		return c.Interrupted() || c.write.at != 0 && c.write.at <= now && !from.Interrupted()
	}
	_, gone := c.peek()
	return gone
}
