package http1

import (
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// What is left of a request's body when its response is complete is read up to
// these bounds, to keep the connection for further requests.
const (
	drainBytes = 64 << 10
	drainTime  = time.Second
)

// tooLong reports whether it is known before the response that the rest of the
// body won't be drained.
func (b *requestBody) tooLong() bool {
	b.finishing.Lock() // or an interruption takes this look for a read
	defer b.finishing.Unlock()
	if !b.reading.TryLock() {
		return false
	}
	defer b.reading.Unlock()
	return b.interrupted.Load() || b.err != io.EOF && !b.drainable()
}

func (b *requestBody) drainable() bool {
	waiting := !b.begun && b.call.head.Continue // and told now not to go on
	return b.err == nil && !waiting && (b.chunked || b.left <= drainBytes)
}

// finish ends reading. It reports whether the body was read to its end, so that
// another request can follow.
func (b *requestBody) finish() bool {
	b.closed.Store(true)
	b.finishing.Lock()
	b.finished = true
	b.finishing.Unlock()
	if !b.reading.TryLock() {
		b.stop()
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	if b.interrupted.Load() {
		return false // the connection has a deadline that is long past
	}
	k := b.call
	return b.err == io.EOF || !k.closing && !k.broken && b.drainable() && b.drain()
}

// drain reads the rest and drops it.
func (b *requestBody) drain() bool {
	buffers := &b.call.conn.server.copies
	buf := buffers.Take()
	defer buffers.Give(buf)
	b.drainBy = exchange.Clock() + drainTime
	for dropped := 0; dropped <= drainBytes; {
		n, err := b.read(buf)
		if dropped += n; err != nil {
			b.err = err
			return err == io.EOF
		}
	}
	return false
}
