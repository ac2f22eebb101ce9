package http1

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// requestBody is the body of a call's request. Another goroutine than the call's
// may read it, up to the end of the exchange.
type requestBody struct {
	call    *call
	life    *exchange.Life
	chunked bool
	decoder message.ChunkDecoder
	data    []byte // of a chunk, in the call's buffer, not read yet

	closed      atomic.Bool // no further read begins
	interrupted atomic.Bool // a read that is in progress ends, and so do later ones
	count       atomic.Int64

	finishing sync.Mutex // guards finished
	finished  bool       // what is on the connection is not the body's any more

	reading sync.Mutex    // held during a read; guards the rest
	begun   bool          // a read was tried: a 100 (Continue) went out if one was due
	told    bool          // the reader knows that all was read
	left    int64         // bytes to come; not of a chunked body
	drainBy time.Duration // on exchange.Clock; 0 before the rest is dropped
	err     error         // how reading ended; io.EOF: all was read
}

var errBodyClosed = errors.New("read of a request body that is closed")

func (b *requestBody) begin(k *call) {
	b.call, b.life = k, k.x.Life()
	b.chunked, b.left = k.head.Framing.Chunked, k.head.Framing.Length
	if b.chunked {
		b.decoder.Limits = k.conn.server.Limits
		b.decoder.Reset(&k.x.Request.Trailer)
	}
}

// reset makes the body ready for the next exchange. It reports false if whoever
// reads it does not know yet that there is nothing more: that one must not get the
// bytes of another exchange.
func (b *requestBody) reset() bool {
	b.reading.Lock() // for one that is just being told
	defer b.reading.Unlock()
	if !b.told {
		return false
	}
	b.call, b.life, b.data = nil, nil, nil
	b.begun, b.told, b.finished, b.err, b.drainBy = false, false, false, nil, 0
	b.closed.Store(false)
	b.interrupted.Store(false)
	b.count.Store(0)
	return true
}

// Read follows io.Reader. Errors other than io.EOF are *exchange.BodyError.
func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case b.err != nil:
		b.told = b.told || b.err == io.EOF
		return 0, b.err
	case b.closed.Load():
		return 0, errBodyClosed
	case len(p) == 0:
		return 0, nil
	}
	if !b.begun {
		b.begun = true
		b.proceed()
	}
	n, err := b.read(p)
	b.count.Add(int64(n))
	if err != nil && err != io.EOF {
		err = &exchange.BodyError{Err: err}
	}
	b.err, b.told = err, err == io.EOF
	b.call.conn.quiet.Store(b.told && b.call.in.empty())
	if n > 0 && !b.told {
		return n, nil // what is wrong is said next time
	}
	return n, err
}

// Close lets no further read begin. What is left is settled at the exchange's end.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// Ready follows the interface of that name.
func (b *requestBody) Ready() bool {
	if !b.reading.TryLock() {
		return false
	}
	defer b.reading.Unlock()
	if b.err != nil || b.closed.Load() {
		return true
	}
	in := &b.call.in
	return len(b.data) > 0 || in.pos < in.end && (!b.chunked || b.decoder.Left() > 0)
}

// proceed lets a client send its body that waits to be told so (RFC 9110,
// 10.1.1): not if the body is on its way already, or the answer.
func (b *requestBody) proceed() {
	k := b.call
	if !k.head.Continue || len(k.in.fresh()) > 0 {
		return
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	if !k.responding.Load() {
		k.write(continueText) // if that fails, so does the read
	}
}

var continueText = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// read reads something, or the end.
func (b *requestBody) read(p []byte) (int, error) {
	if b.chunked {
		return b.readChunked(p)
	}
	p = p[:min(int64(len(p)), b.left)]
	n, err := b.receive(p)
	if b.left -= int64(n); b.left == 0 {
		err = io.EOF
	}
	return n, err
}

// receive takes what was read before, or reads into p.
func (b *requestBody) receive(p []byte) (int, error) {
	in := &b.call.in
	if in.pos == in.end {
		if len(p) >= minRoom || int64(len(p)) == b.left {
			return b.readSocket(p)
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.fresh())
	in.pos += n
	return n, nil
}

// readChunked reads data of chunks: of all that are there already.
func (b *requestBody) readChunked(p []byte) (n int, err error) {
	in := &b.call.in
	for {
		if len(b.data) == 0 && in.pos < in.end {
			consumed, data, done, err := b.decoder.Next(in.fresh())
			in.pos += consumed
			b.data = data
			if done {
				err = io.EOF
			}
			if err != nil {
				return n, err
			}
		}
		switch {
		case len(b.data) > 0:
			size := copy(p[n:], b.data)
			b.data = b.data[size:]
			if n += size; n == len(p) {
				return n, nil
			}
		case n > 0:
			return n, nil
		case b.decoder.Left() > 0 && len(p) >= minRoom:
			n, err = b.readSocket(p[:min(int64(len(p)), b.decoder.Left())])
			b.decoder.Skip(int64(n))
			return n, err
		default:
			if err := b.fill(); err != nil {
				return 0, err
			}
		}
	}
}

// fill reads more into the call's buffer.
func (b *requestBody) fill() error {
	k := b.call
	n, err := b.readSocket(k.in.room(&k.conn.server.inputs))
	k.in.end += n
	return err
}

// readSocket reads from the connection. Before the response begins, a client may
// be silent for so long only; after that, one that streams in both directions may.
func (b *requestBody) readSocket(p []byte) (int, error) {
	c := b.call.conn.socket
	began := exchange.Clock()
	for now := began; ; now = exchange.Clock() {
		at := b.deadline(began)
		if at != 0 && at <= now {
			return 0, os.ErrDeadlineExceeded
		}
		c.ReadBy(at, now)
		if b.interrupted.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := c.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == io.EOF:
			return 0, io.ErrUnexpectedEOF
		case !socket.IsTimeout(err) || b.interrupted.Load() || c.Interrupted():
			return 0, err
		}
	}
}

// deadline is that of a read that began then.
func (b *requestBody) deadline(began time.Duration) time.Duration {
	if b.drainBy != 0 || b.call.responding.Load() {
		return b.drainBy
	}
	at := after(began, b.call.conn.server.BodyTimeout)
	if until := b.life.Until(); until != 0 && (at == 0 || until < at) {
		return until
	}
	return at
}

// interrupt ends a read that is in progress, unless the exchange is over.
func (b *requestBody) interrupt() {
	b.finishing.Lock()
	defer b.finishing.Unlock()
	if b.finished {
		return
	}
	if b.reading.TryLock() {
		if b.err == nil {
			b.interrupted.Store(true) // before the next read
		}
		b.reading.Unlock()
		return
	}
	b.stop()
}

func (b *requestBody) stop() {
	b.interrupted.Store(true)
	b.call.conn.socket.InterruptRead()
}
