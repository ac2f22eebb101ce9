package socket

import "errors"

// ErrUnasked says that something came on a connection before it was asked for.
var ErrUnasked = errors.New("bytes that nobody asked for")

// Ask writes head and body, gives head back to b, and waits for what comes for
// it as ReadFirst does. It saves the read that would find nothing there yet: who
// was sent a question has not answered before it had time to.
//
// On plain TCP nothing is written if something is there already, since it would be
// taken for the answer: that is ErrUnasked, io.EOF if the peer has gone, or what
// broke the connection. Elsewhere the caller looks (Quiet). wrote is less than all
// only if writing failed, or was not begun.
func (c *Conn) Ask(head, body []byte, b *Buffers) (wrote int, buf []byte, n int, err error) {
	if c.raw != nil {
		return c.raw.ask(head, body, b)
	}
	wrote, err = c.WriteTwo(head, body)
	b.Give(head)
	if err == nil {
		buf, n, err = c.ReadFirst(b)
	}
	return wrote, buf, n, err
}
