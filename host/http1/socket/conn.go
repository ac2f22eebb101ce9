// Package socket moves the bytes of one connection: with system calls of its
// own where the connection is plain TCP, through net.Conn elsewhere.
//
// It knows nothing of HTTP. What it saves over net.Conn is the way into and out
// of the scheduler for calls that don't block, buffers of connections that are
// idle, and a timer for each deadline.
package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Conn is one connection, a client's or an endpoint's. One goroutine reads and
// one writes at a time; Interrupt, Gone, Abort and Close may be called by any.
// Its user closes it.
type Conn struct {
	conn net.Conn
	raw  *raw // nil: everything goes through conn

	read, write deadline
	interrupted atomic.Bool
	rest        io.LimitedReader // of Splice and SendFile
	one         [1]byte          // of Unasked
}

var _ exchange.Interruptible = (*Conn)(nil)

// New returns a connection over c, which belongs to it from then on.
func New(c net.Conn) *Conn {
	s := &Conn{conn: c, raw: newRaw(c)}
	s.read.set, s.write.set = c.SetReadDeadline, c.SetWriteDeadline
	return s
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Read follows io.Reader. Past the deadline of ReadBy, or after Interrupt, the
// error is os.ErrDeadlineExceeded.
func (c *Conn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.conn.Read(p)
	}
	return c.raw.read(p)
}

// ReadFirst waits for bytes, takes a buffer from b when they are there, and reads
// into it: on plain TCP a connection that waits holds no buffer. With an error
// there is none either.
func (c *Conn) ReadFirst(b *Buffers) (buf []byte, n int, err error) {
	if c.raw != nil {
		return c.raw.readFirst(b)
	}
	buf = b.Take()
	if n, err = c.conn.Read(buf); n == 0 {
		b.Give(buf)
		if err == nil {
			err = io.ErrNoProgress
		}
		return nil, 0, err
	}
	return buf, n, nil
}

// Write follows io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.conn.Write(p)
	}
	return c.raw.write(p)
}

// WriteTwo writes a and then b, on plain TCP with one system call.
func (c *Conn) WriteTwo(a, b []byte) (int, error) {
	if c.raw != nil && len(a) > 0 && len(b) > 0 {
		return c.raw.writeTwo(a, b)
	}
	n, err := c.Write(a)
	if err != nil || len(b) == 0 {
		return n, err
	}
	m, err := c.Write(b)
	return n + m, err
}

// ReadBy has reads fail from at on, a time on exchange.Clock; 0 takes that back.
// now is the time on that clock. A deadline is never early, and late by at most
// an eighth of what is left: while it moves on by less than that, as it does from
// one exchange to the next, nothing is done.
func (c *Conn) ReadBy(at, now time.Duration) {
	if c.read.move(at, now) && c.interrupted.Load() {
		c.conn.SetReadDeadline(longAgo)
	}
}

// WriteBy is ReadBy for writes.
func (c *Conn) WriteBy(at, now time.Duration) {
	if c.write.move(at, now) && c.interrupted.Load() {
		c.conn.SetWriteDeadline(longAgo)
	}
}

// deadline is what the system was last told.
type deadline struct {
	set func(time.Time) error
	at  time.Duration // on exchange.Clock; 0: none
}

// coarseness is the part of a deadline by which it may be late.
const coarseness = 8

// move reports whether it told the system.
func (d *deadline) move(at, now time.Duration) bool {
	if at == 0 {
		if d.at == 0 {
			return false
		}
		d.at = 0
		d.set(time.Time{})
		return true
	}
	slack := max(at-now, 0) / coarseness
	if d.at >= at && d.at <= at+slack {
		return false
	}
	d.at = at + slack
	d.set(time.Now().Add(d.at - now))
	return true
}

// again tells the system what it was told before.
func (d *deadline) again() {
	if d.at == 0 {
		d.set(time.Time{})
	} else {
		d.set(time.Now().Add(d.at - exchange.Clock()))
	}
}

// longAgo is a deadline that makes what is in progress return.
var longAgo = time.Unix(1, 0)

// Interrupt makes reads and writes that are in progress, and later ones, fail.
// The connection is good for nothing but Close then.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.conn.SetDeadline(longAgo)
}

// InterruptRead makes a read that is in progress fail, and later ones until the
// deadline is set anew. Any goroutine may call it.
func (c *Conn) InterruptRead() { c.conn.SetReadDeadline(longAgo) }

// Interrupted reports whether Interrupt was called.
func (c *Conn) Interrupted() bool { return c.interrupted.Load() }

// Gone reports whether the peer has closed its side or reset the connection,
// without waiting and without taking a byte. While bytes wait to be read, and
// where the system can't tell, it is false.
func (c *Conn) Gone() bool {
	waiting, gone := c.peek()
	return gone && !waiting
}

// Quiet reports whether nothing waits to be read and the peer has not gone, as it
// must be on an idle connection. Where the system can't tell it is true.
func (c *Conn) Quiet() bool {
	waiting, gone := c.peek()
	return !waiting && !gone
}

// peek looks at the socket below, also below TLS.
func (c *Conn) peek() (waiting, gone bool) {
	if c.raw != nil {
		return c.raw.peek()
	}
	below := c.conn
	if wrapped, ok := below.(interface{ NetConn() net.Conn }); ok {
		below = wrapped.NetConn()
	}
	return peekAt(below)
}

// ErrNoHalfClose says that the writing direction can't be closed alone.
var ErrNoHalfClose = errors.New("connection has no half-close")

// CloseWrite tells the peer that no more will come.
func (c *Conn) CloseWrite() error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return ErrNoHalfClose
}

// Abort closes at once and lets the peer see that it was not in order.
func (c *Conn) Abort() {
	below := c.conn
	for {
		if tcp, ok := below.(*net.TCPConn); ok {
			tcp.SetLinger(0)
			break
		}
		wrapped, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		below = wrapped.NetConn()
	}
	below.Close()
	if below != c.conn {
		c.conn.Close()
	}
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// IsTimeout reports whether an error is a deadline's or an interruption's.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Buffers are byte slices of one size that are used again and again. The zero
// value with a Size is ready for use. They are safe for concurrent use.
type Buffers struct {
	Size int // 1 to 64 KiB: nothing larger is worth keeping
	pool sync.Pool
}

// Take returns a buffer of Size bytes with any content.
func (b *Buffers) Take() []byte {
	if p, ok := b.pool.Get().(*byte); ok {
		return bytesAt(p, b.Size)
	}
	return make([]byte, b.Size)
}

// Give takes a buffer back that Take returned; others are left to the collector.
// Nobody may look into it any more: under the race detector it is overwritten.
func (b *Buffers) Give(buf []byte) {
	if cap(buf) != b.Size {
		return
	}
	buf = buf[:b.Size]
	exchange.Poison(buf)
	b.pool.Put(&buf[0])
}
