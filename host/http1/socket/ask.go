package socket

import (
	"errors"
	"io"
)

// ErrUnasked says that something came on a connection before it was asked for.
var ErrUnasked = errors.New("bytes that nobody asked for")

// Ask writes head and body, gives head back to b, and waits for what comes for
// it as ReadFirst does. It saves the read that would find nothing there yet: who
// was sent a question has not answered before it had time to.
//
// Nothing is written if something is there already, since it would be taken for the
// answer: that is ErrUnasked, io.EOF if the peer has gone, or what broke the
// connection. Where it is not plain TCP the caller looks at the socket (Quiet). wrote
// is less than all only if writing failed, or was not begun.
func (c *Conn) Ask(head, body []byte, b *Buffers) (wrote int, buf []byte, n int, err error) {
	if c.raw != nil {
		return c.raw.ask(head, body, b)
	}
	if err = c.Unasked(); err == nil {
		wrote, err = c.WriteTwo(head, body)
	}
	b.Give(head)
	if err == nil {
		buf, n, err = c.ReadFirst(b)
	}
	return wrote, buf, n, err
}

// Unasked looks for what Ask looks for. The one who reads calls it.
func (c *Conn) Unasked() error {
	if c.raw != nil {
		if waiting, gone := c.raw.peek(); waiting {
			return ErrUnasked
		} else if gone {
			return io.EOF
		}
		return nil
	}
	// TLS may have taken more from the socket than it was asked for.
	c.conn.SetReadDeadline(longAgo)
	n, err := c.conn.Read(c.one[:])
	c.read.again()
	switch {
	case c.interrupted.Load():
		c.conn.SetReadDeadline(longAgo)
	case n > 0:
		return ErrUnasked
	case IsTimeout(err):
		return nil
	}
	return err
}
