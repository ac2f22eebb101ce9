//go:build unix

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// raw does the system calls of a plain TCP connection. They are made without
// telling the scheduler, since none of them blocks; waiting is the scheduler's, as
// for every net.Conn.
type raw struct {
	conn syscall.RawConn
	in   operation
	out  operation
}

// operation is a call that is repeated until the socket lets it do something. The
// functions are made once, as making them costs an allocation.
type operation struct {
	attempt func(fd uintptr) (done bool)
	buf     []byte
	second  []byte // of a write of two
	from    *Buffers
	// Of a read: what is to be written is to be written first, and was not, because
	// there was something to be read.
	asking, answered bool
	n                int
	err              error
}

// newRaw returns nil if c is not plain TCP.
func newRaw(c net.Conn) *raw {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	conn, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	r := &raw{conn: conn}
	r.in.attempt, r.out.attempt = r.attemptRead, r.attemptWrite
	return r
}

func (r *raw) read(p []byte) (int, error) {
	r.in.buf, r.in.from = p, nil
	err := r.conn.Read(r.in.attempt)
	n := r.in.n
	r.in.buf, r.in.n = nil, 0
	switch {
	case n > 0:
		return n, nil
	case err != nil:
		return 0, err
	case r.in.err != nil:
		return 0, r.in.err
	}
	return 0, io.EOF
}

func (r *raw) readFirst(b *Buffers) (buf []byte, n int, err error) {
	r.in.buf, r.in.from = nil, b
	err = r.conn.Read(r.in.attempt)
	buf, n = r.in.buf, r.in.n
	r.in.buf, r.in.from, r.in.n = nil, nil, 0
	switch {
	case n > 0:
		return buf, n, nil
	case err != nil:
		return nil, 0, err
	case r.in.err != nil:
		return nil, 0, r.in.err
	}
	return nil, 0, io.EOF
}

func (r *raw) attemptRead(fd uintptr) (done bool) {
	op := &r.in
	if op.asking {
		return r.attemptAsk(fd)
	}
	if op.from != nil {
		op.buf = op.from.Take()
	}
	for {
		n, errno := sysRead(fd, op.buf)
		switch errno {
		case 0:
			op.n, op.err, done = n, nil, true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			op.n, op.err = 0, nil
		default:
			op.n, op.err, done = 0, os.NewSyscallError("read", errno), true
		}
		break
	}
	if op.from != nil && op.n == 0 {
		op.from.Give(op.buf)
		op.buf = nil
	}
	return done
}

func (r *raw) write(p []byte) (int, error) { return r.writeAll(p, nil) }

func (r *raw) writeTwo(a, b []byte) (int, error) { return r.writeAll(a, b) }

func (r *raw) writeAll(a, b []byte) (int, error) {
	op := &r.out
	op.buf, op.second, op.n, op.err = a, b, 0, nil
	err := r.conn.Write(op.attempt)
	op.buf, op.second = nil, nil
	if op.err != nil {
		err = op.err
	}
	return op.n, err
}

// attemptWrite goes on until all is written.
func (r *raw) attemptWrite(fd uintptr) (done bool) {
	op := &r.out
	for {
		n, errno := sysWrite(fd, op.buf, op.second)
		switch errno {
		case 0:
			if op.written(n) {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			op.err = os.NewSyscallError("write", errno)
			return true
		}
	}
}

// written takes n bytes off what is to be written and reports whether that was
// all.
func (op *operation) written(n int) bool {
	op.n += n
	if n < len(op.buf) {
		op.buf = op.buf[n:]
		return false
	}
	op.buf, op.second = op.second[n-len(op.buf):], nil
	return len(op.buf) == 0
}

func (r *raw) peek() (waiting, gone bool) {
	r.conn.Control(func(fd uintptr) { waiting, gone = peekFD(int(fd)) })
	return waiting, gone
}

// peekAt looks at a socket that is below something else.
func peekAt(c net.Conn) (waiting, gone bool) {
	if below, ok := c.(syscall.Conn); ok {
		if conn, err := below.SyscallConn(); err == nil {
			conn.Control(func(fd uintptr) { waiting, gone = peekFD(int(fd)) })
		}
	}
	return waiting, gone
}

func peekFD(fd int) (waiting, gone bool) {
	var b [1]byte
	n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case n > 0:
		return true, false
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return false, false
	}
	return false, true
}

// bytesAt undoes taking the address of a slice's first byte.
func bytesAt(p *byte, n int) []byte { return unsafe.Slice(p, n) }
