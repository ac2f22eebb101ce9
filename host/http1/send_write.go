package http1

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// takeOut begins what is to be written.
func (k *call) takeOut() { k.out, k.content = k.conn.server.inputs.Take()[:0], 0 }

// giveOut gives its buffer back.
func (k *call) giveOut() {
	s := k.conn.server
	if cap(k.out) == s.inputs.Size {
		s.inputs.Give(k.out)
	} else {
		s.copies.Give(k.out)
	}
	k.out = nil
}

// enlarge goes on in a buffer for large bodies.
func (k *call) enlarge() {
	if cap(k.out) >= copyBytes {
		return
	}
	larger := k.conn.server.copies.Take()
	content, n := k.content, copy(larger, k.out)
	k.giveOut()
	k.out, k.content = larger[:n], content
}

// flush writes what is to be written.
func (k *call) flush() error { return k.flushWith(nil) }

// flushWith writes it with more of the body behind.
func (k *call) flushWith(more []byte) error {
	if len(k.out)+len(more) == 0 {
		return nil
	}
	k.writeBy()
	n, err := k.conn.socket.WriteTwo(k.out, more)
	k.account(n, len(k.out)+len(more), k.content+len(more), err)
	k.out, k.content = k.out[:0], 0
	return err
}

// write writes what is no body.
func (k *call) write(p []byte) error {
	k.writeBy()
	_, err := k.conn.socket.Write(p)
	k.lost(err)
	return err
}

// writeBy gives a client that takes nothing a deadline.
func (k *call) writeBy() {
	if limit := k.conn.server.BodyTimeout; limit != 0 {
		now := exchange.Clock()
		k.conn.socket.WriteBy(now+limit, now)
	}
}

// account counts what of a body was written with n of all bytes: the body's were
// the last, as a rule.
func (k *call) account(n, all, content int, err error) {
	if err != nil {
		content = max(0, content-(all-n))
		k.lost(err)
	}
	k.x.ResponseBytes += int64(content)
}

// lost notes that a client has left.
func (k *call) lost(err error) {
	if err != nil && !socket.IsTimeout(err) {
		k.conn.gone.Store(true)
	}
}
