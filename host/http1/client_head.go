package http1

import (
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// receive reads up to the end of the final response's head.
func (t *Trip) receive() error {
	for !t.answered {
		if err := t.next(); err != nil {
			return err
		}
	}
	return nil
}

// awaitContinue waits for the server to ask for the body, for a while. If it
// answers instead, the trip is answered.
func (t *Trip) awaitContinue(now time.Duration) error {
	by := t.by
	t.by = earlier(by, now+t.Client.ContinueWait)
	t.Conn.ReadBy(t.by, now)
	var err error
	for err == nil && !t.answered && t.Response.Status != 100 {
		err = t.next()
	}
	now = exchange.Clock()
	if socket.IsTimeout(err) && !t.Conn.Interrupted() && (by == 0 || now < by) {
		err = nil // it may well be one that never says 100
	}
	t.by = by
	t.Conn.ReadBy(by, now)
	return err
}

// next reads one head. An informational one is passed on.
func (t *Trip) next() error {
	size, err := t.head()
	if err != nil {
		return err
	}
	t.start += size
	if status := t.Response.Status; status >= 200 || status == 101 {
		return t.accept()
	}
	t.parser.Reset()
	if t.informs++; t.informs > t.Client.MaxInforms {
		return ErrTooManyInforms
	}
	if t.Response.Status == 100 || t.Informer == nil {
		return nil
	}
	return t.Informer.Inform(t.Response.Status, t.Response.Header)
}

// head reads until what was received begins with a whole head, of size bytes.
func (t *Trip) head() (size int, err error) {
	for {
		if t.start < t.end {
			size, err = t.parser.Parse(t.mem[t.start:t.end], &t.Client.Limits, t.Request.Method, &t.Response)
			if size > 0 || err != nil {
				return size, err
			}
		}
		if err := t.readHead(); err != nil {
			if err == io.EOF && t.heard {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// readHead receives more. A head stays together.
func (t *Trip) readHead() error {
	if t.buf == nil {
		buf, n, err := t.Conn.ReadFirst(t.Client.Buffers)
		if n > 0 {
			t.first(buf, n)
		}
		return err
	}
	if t.end == len(t.mem) {
		t.grow()
		t.Client.Buffers.Give(t.buf)
		t.buf = t.mem
	}
	n, err := t.Conn.Read(t.mem[t.end:])
	t.end += n
	if n > 0 {
		return nil
	}
	return err
}

// first notes the first bytes that were received.
func (t *Trip) first(buf []byte, n int) {
	t.buf, t.mem, t.end = buf, buf, n
	t.heard = true
}

// grow moves what was received to larger memory.
func (t *Trip) grow() {
	larger := make([]byte, 2*max(len(t.mem), t.Client.Buffers.Size))
	t.end = copy(larger, t.mem[t.start:t.end])
	t.start, t.mem = 0, larger
}

// accept settles how the response goes on.
func (t *Trip) accept() error {
	t.answered = true
	r := &t.Response
	if r.Status == 101 {
		if t.Request.Upgrade == "" || r.Upgrade == "" || !exchange.HasToken(t.Request.Upgrade, r.Upgrade) {
			return ErrSwitched
		}
		now := exchange.Clock()
		t.by = 0
		t.Conn.ReadBy(0, now)
		t.Conn.WriteBy(0, now)
		return nil
	}
	// The fields are views of what is before.
	t.mem = t.mem[t.start:]
	t.start, t.end = 0, t.end-t.start
	t.left = max(r.Framing.Length, 0)
	if r.NoBody || !r.Framing.HasBody() {
		t.endBody(io.EOF)
		return nil
	}
	if r.Framing.Chunked {
		t.decoder.Limits = t.Client.Limits
		t.decoder.Reset(r.Trailer)
	}
	return nil
}

// endBody notes how the body ended: that is the end of the trip.
func (t *Trip) endBody(err error) {
	t.bodyErr = err
	t.surplus = t.surplus || t.start < t.end
	t.finish(err == io.EOF)
}
