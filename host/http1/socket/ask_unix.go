//go:build unix

package socket

import (
	"os"
	"syscall"
)

// ask does the writing within the read that waits for what follows: that notes all
// that comes from its begin on, and need not look before it waits.
func (r *raw) ask(head, body []byte, b *Buffers) (wrote int, buf []byte, n int, err error) {
	out := &r.out
	out.buf, out.second, out.n, out.err = head, body, 0, nil
	r.in.asking = true
	buf, n, err = r.readFirst(b)
	wrote = out.n
	if wrote == len(head)+len(body) {
		out.buf, out.second = nil, nil
		return wrote, buf, n, err
	}
	// There was no room for all of it, or it could not even be begun.
	left, second, failed := out.buf, out.second, out.err
	out.buf, out.second = nil, nil
	if r.in.asking || r.in.answered {
		r.in.asking, r.in.answered, failed = false, false, err
	}
	if failed == nil {
		var more int
		more, failed = r.writeAll(left, second)
		wrote += more
	}
	b.Give(head)
	if failed != nil {
		return wrote, nil, 0, failed
	}
	buf, n, err = r.readFirst(b)
	return wrote, buf, n, err
}

// attemptAsk looks whether it may write, and does. If that is not done at once, it
// is not for a read to wait.
func (r *raw) attemptAsk(fd uintptr) (done bool) {
	in, out := &r.in, &r.out
	in.asking, in.n, in.err = false, 0, nil
	if in.err, in.answered = unasked(fd); in.answered {
		return true
	}
	head := out.buf
	if !r.attemptWrite(fd) || out.err != nil {
		return true
	}
	in.from.Give(head)
	return false
}

// unasked looks for what is there without having been asked for: bytes, an error,
// or, with neither, the end.
func unasked(fd uintptr) (err error, there bool) {
	for {
		n, errno := sysPeek(fd)
		switch {
		case errno == syscall.EAGAIN:
			return nil, false
		case errno == syscall.EINTR:
		case errno != 0:
			return os.NewSyscallError("recv", errno), true
		case n > 0:
			return ErrUnasked, true
		default:
			return nil, true
		}
	}
}
