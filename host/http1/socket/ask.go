package socket

// Ask writes head and body, gives head back to b, and waits for what comes for
// it as ReadFirst does. It saves the read that would find nothing there yet: who
// was sent a question has not answered before it had time to. For that, nothing
// may be waiting to be read. wrote is less than all only if writing failed.
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
