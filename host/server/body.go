package server

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// requestBody is the body of a call's request. It may be read by another
// goroutine than the call's, as transports do, up to the end of the exchange.
type requestBody struct {
	call  *call
	src   io.ReadCloser
	stall stall

	closed     atomic.Bool
	responding atomic.Bool // the response has begun: silence is the upstream's business
	count      atomic.Int64

	finishing sync.Mutex // guards finished
	finished  bool       // the exchange is over

	reading sync.Mutex // held during a read; guards the rest
	err     error      // how reading ended; io.EOF: all was read
	first   byte       // read by look
	ahead   bool       // first was not returned yet
}

var errBodyClosed = errors.New("read of a request body that is closed")

func (b *requestBody) init(c *call, src io.ReadCloser) {
	b.call, b.src = c, src
	b.stall.limit = c.conn.front.settings.Limits.BodyTimeout.D()
	b.stall.expire = c.interruptRead
}

// Read follows io.Reader. Errors other than io.EOF are *exchange.BodyError.
func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.ahead && len(p) > 0 && !b.closed.Load() {
		p[0], b.ahead = b.first, false
		return 1, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.closed.Load() {
		return 0, errBodyClosed
	}
	return b.read(p)
}

// look waits for the first byte and reports whether there may be one.
func (b *requestBody) look() bool {
	b.reading.Lock()
	defer b.reading.Unlock()
	var one [1]byte
	for b.err == nil && !b.ahead {
		n, _ := b.read(one[:])
		b.first, b.ahead = one[0], n > 0
	}
	return b.ahead || b.err != io.EOF
}

// read is called with reading held.
func (b *requestBody) read(p []byte) (int, error) {
	b.call.proceed()
	if !b.responding.Load() {
		b.stall.begin()
	}
	n, err := b.src.Read(p)
	b.stall.end()
	b.count.Add(int64(n))
	if err == io.EOF {
		b.call.takeTrailer()
	} else if err != nil {
		err = &exchange.BodyError{Err: err}
	}
	b.err = err
	return n, err
}

// Close lets no further read begin. What is left unread is settled at the end
// of the exchange.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// interrupt ends a read that is in progress, unless the call is over.
func (b *requestBody) interrupt() {
	b.finishing.Lock()
	defer b.finishing.Unlock()
	if b.src != nil && !b.finished {
		b.call.interruptRead()
	}
}

// respond tells that the response begins. A client that streams in both
// directions may be silent for as long as it likes from here on.
func (b *requestBody) respond() {
	b.responding.Store(true)
	b.stall.stop()
}

// finish ends reading.
func (b *requestBody) finish() {
	if b.src == nil {
		return
	}
	b.closed.Store(true)
	b.finishing.Lock()
	b.finished = true
	b.finishing.Unlock()
	if !b.reading.TryLock() {
		b.call.interruptRead()
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	b.stall.stop()
}
