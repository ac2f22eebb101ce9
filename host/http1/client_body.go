package http1

import (
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

const (
	// direct is how much room a reader must have to be read into without a buffer
	// between.
	direct = 4 << 10
	// leastRoom is what a head must leave of its buffer for bodies to be read into.
	leastRoom = 2 << 10
)

// Read follows io.Reader. It yields what is there, and waits only if nothing is.
// With io.EOF the trailers are complete, and the trip is over: also with any other
// error.
func (t *Trip) Read(p []byte) (n int, err error) {
	if t.bodyErr != nil || len(p) == 0 {
		return 0, t.bodyErr
	}
	switch f := &t.Response.Framing; {
	case f.Chunked:
		n, err = t.readChunked(p)
	case f.UntilClose:
		n, err = t.readPlain(p)
	default:
		n, err = t.readCounted(p)
	}
	if err != nil {
		if err != io.EOF && t.pump != nil {
			err = t.pump.failed(err)
		}
		t.endBody(err)
	}
	return n, err
}

// Close ends the trip, wherever it is.
func (t *Trip) Close() error {
	t.finish(false)
	return nil
}

// Ready follows the interface of that name.
func (t *Trip) Ready() bool {
	return t.bodyErr != nil || len(t.data) > 0 || t.start < t.end && !t.starved
}

// readPlain reads bytes as they come.
func (t *Trip) readPlain(p []byte) (int, error) {
	if t.start == t.end {
		if len(p) >= direct {
			return t.take(p)
		}
		if err := t.refill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.mem[t.start:t.end])
	t.start += n
	return n, nil
}

// readCounted may read more than belongs to the body, to see whether there is
// any.
func (t *Trip) readCounted(p []byte) (int, error) {
	n, err := t.readPlain(p)
	if int64(n) > t.left {
		t.surplus = true
		n = int(t.left)
	}
	if t.left -= int64(n); t.left == 0 {
		return n, io.EOF
	}
	return n, unexpected(err)
}

// unexpected makes of the connection's end one that comes too early.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readChunked fills p with what is there.
func (t *Trip) readChunked(p []byte) (n int, err error) {
	for {
		done, err := t.decode()
		k := copy(p[n:], t.data)
		t.data = t.data[k:]
		n += k
		switch {
		case err != nil:
			return n, err
		case done:
			return n, io.EOF
		case len(t.data) > 0 || n > 0 && (t.starved || t.start == t.end):
			return n, nil
		case k > 0:
			continue // the end may be there too
		}
		if left := t.decoder.Left(); left >= direct && len(p) >= direct && t.start == t.end {
			n, err := t.take(p[:min(int64(len(p)), left)])
			t.decoder.Skip(int64(n))
			return n, unexpected(err)
		}
		if err := t.refill(); err != nil {
			return 0, unexpected(err)
		}
	}
}

// decode looks for data in what was received, unless there is some.
func (t *Trip) decode() (done bool, err error) {
	if len(t.data) > 0 || t.starved || t.start == t.end {
		return false, nil
	}
	t.decoder.Trailer = t.Response.Trailer // which may have moved since the head
	consumed, data, done, err := t.decoder.Next(t.mem[t.start:t.end])
	t.start += consumed
	t.data = data
	t.starved = len(data) == 0 && !done
	return done, err
}

// refill waits for more.
func (t *Trip) refill() error {
	if t.start == t.end {
		t.start, t.end = 0, 0
		if len(t.mem) < leastRoom && t.more == nil {
			t.more = t.Client.Buffers.Take()
			t.mem = t.more
		}
	}
	if t.end == len(t.mem) {
		t.grow()
	}
	n, err := t.take(t.mem[t.end:])
	t.end += n
	t.starved = false
	return err
}

// take reads into p, within the deadline of the body.
func (t *Trip) take(p []byte) (int, error) {
	now := exchange.Clock()
	at := t.bodyBy(now)
	if at != 0 && (t.by == 0 || at < t.by) {
		t.by = at
		t.Conn.ReadBy(at, now)
	}
	for {
		n, err := t.Conn.Read(p)
		if n > 0 {
			return n, nil
		}
		if !socket.IsTimeout(err) || t.Conn.Interrupted() {
			return 0, err
		}
		// The connection may still have had the deadline of the head: setting one for
		// each read would cost more than finding that out here.
		now = exchange.Clock()
		if at != 0 && now >= at {
			if t.pump == nil || !t.pump.waits() || t.Life.Err() != nil {
				return 0, err
			}
			at = t.bodyBy(now) // it is the client that is silent
		}
		t.by = at
		t.Conn.ReadBy(at, now)
	}
}

// bodyBy is when a read that begins now has taken too long.
func (t *Trip) bodyBy(now time.Duration) time.Duration {
	at := t.Life.Until()
	if t.Silence > 0 {
		at = earlier(at, now+t.Silence)
	}
	return at
}

// SpliceSource follows Spliceable.
func (t *Trip) SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	f := &t.Response.Framing
	if t.bodyErr != nil || f.UntilClose {
		return nil, nil, 0, false
	}
	if f.Chunked {
		return t.spliceChunk()
	}
	waiting = t.mem[t.start:t.end]
	if int64(len(waiting)) > t.left {
		waiting = waiting[:t.left]
	}
	return t.lend(waiting, t.left-int64(len(waiting)))
}

// spliceChunk lends what is known of the chunk that is being read.
func (t *Trip) spliceChunk() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	if done, err := t.decode(); done || err != nil {
		t.endBody(ended(err))
		return nil, nil, 0, false
	}
	n = t.decoder.Left()
	if len(t.data) == 0 && (n == 0 || t.start < t.end) {
		return nil, nil, 0, false
	}
	return t.lend(t.data, n)
}

// ended is err, or the end.
func ended(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// lend tells the connection how long to wait for the next n bytes, if it has some.
func (t *Trip) lend(waiting []byte, n int64) (*socket.Conn, []byte, int64, bool) {
	t.lent = len(waiting)
	if n == 0 {
		return nil, waiting, 0, true
	}
	now := exchange.Clock()
	t.by = t.bodyBy(now)
	t.Conn.ReadBy(t.by, now)
	return t.Conn, waiting, n, true
}

// Spliced follows Spliceable. The deadline of a connection that still brings
// bytes has only to be set anew.
func (t *Trip) Spliced(n int64, err error) {
	memory := min(n, int64(t.lent))
	moved := n - memory
	if t.Response.Framing.Chunked {
		t.data = t.data[memory:]
		t.decoder.Skip(moved)
	} else {
		t.start += int(memory)
		t.left -= n
	}
	if err == nil && t.left == 0 && !t.Response.Framing.Chunked {
		t.endBody(io.EOF)
		return
	}
	again := socket.IsTimeout(err) && !t.Conn.Interrupted() && t.Life.Err() == nil &&
		(moved > 0 || exchange.Clock() < t.by || t.pump != nil && t.pump.waits())
	if err != nil && !again {
		t.endBody(unexpected(err))
	}
}
