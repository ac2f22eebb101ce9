package wire

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
)

// Replay is a request body that can be sent again as long as all that was read
// of it is kept. Each try reads it through a reader of its own.
type Replay struct {
	mu   sync.Mutex // held while src is read, so that tries cannot interleave
	src  io.Reader
	max  int64
	kept []byte
	read int64 // of src in all
	err  error // what src ended with, io.EOF included

	// These are asked while a detached try may still wait for the client.
	lost   atomic.Bool           // more was read than is kept
	broken atomic.Pointer[error] // what src failed with
	// waiting says that the client is waited for.
	waiting atomic.Bool
}

// Errors of a bodyReader that are not the client's.
var (
	errDetached = errors.New("request body is no longer wanted by this try")
	errNotKept  = errors.New("request body is too large to be sent again")
)

// NewReplay keeps up to max bytes. A body that policies hold whole in memory is
// not copied, and can be sent again whatever its size.
func NewReplay(body io.Reader, max int64) *Replay {
	if b, ok := body.(*exchange.Buffered); ok && b.Whole() {
		return new(Replay).Hold(b.Bytes())
	}
	return &Replay{src: body, max: max}
}

// Hold makes r the replay of a body that is whole in memory, which is not written
// to while a try may read it. r may be used again if no try was Shared.
func (r *Replay) Hold(whole []byte) *Replay {
	r.kept, r.read, r.err = whole, int64(len(whole)), io.EOF
	return r
}

// Resume is NewReplay of a body of which the head was read already, which ended
// with err if that is not nil.
func Resume(head []byte, rest io.Reader, err error, max int64) *Replay {
	r := &Replay{src: rest, max: max, kept: head, read: int64(len(head)), err: err}
	if err != nil && err != io.EOF {
		r.broken.Store(&err)
	}
	return r
}

// inMemory reports whether reading can never block.
func (r *Replay) inMemory() bool { return r.src == nil }

// whole returns the body if all of it is in memory, else nil.
func (r *Replay) whole() []byte {
	if r.src != nil {
		return nil
	}
	return r.kept
}

// Replayable reports whether the next try would get the body from its first
// byte. A detached try may still wait for the client: what that read yields is
// kept if there is room, and the next try fails cleanly if there is none.
func (r *Replay) Replayable() bool { return !r.lost.Load() && r.broken.Load() == nil }

// ClientError returns what the client's body failed with, nil if it did not.
func (r *Replay) ClientError() error {
	if err := r.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// bodyReader is one try's view of the body. Detach may be called while another
// goroutine reads.
type bodyReader struct {
	from     *Replay
	at       int64
	detached atomic.Bool
	ending   sync.Mutex // held while atEnd looks at the exchange
	atEnd    func()     // called once the whole body was read, unless detached
	awaited  bool       // when the try ended, it was the client that was waited for
}

// Read follows io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.detached.Load() {
		return 0, errDetached
	}
	n, err := b.from.readAt(p, b.at, &b.detached)
	b.at += int64(n)
	if err == io.EOF && b.atEnd != nil && !b.end() {
		err = errDetached
	}
	return n, err
}

// end calls atEnd. It reports false if the exchange may be over.
func (b *bodyReader) end() bool {
	b.ending.Lock()
	defer b.ending.Unlock()
	if b.detached.Load() {
		return false
	}
	b.atEnd()
	b.atEnd = nil
	return true
}

// Ready follows http1.Ready.
func (b *bodyReader) Ready() bool {
	r := b.from
	if !r.mu.TryLock() {
		return false
	}
	defer r.mu.Unlock()
	if b.at < int64(len(r.kept)) || r.err != nil {
		return true
	}
	ready, ok := r.src.(http1.Ready)
	return ok && ready.Ready()
}

// Close lets go of the body; it belongs to the server, which closes it.
func (b *bodyReader) Close() error {
	b.ending.Lock()
	defer b.ending.Unlock()
	b.detached.Store(true)
	return nil
}

func (r *Replay) readAt(p []byte, at int64, detached *atomic.Bool) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at < int64(len(r.kept)) {
		return copy(p, r.kept[at:]), nil
	}
	if at != r.read {
		return 0, errNotKept
	}
	if r.err != nil {
		return 0, r.err
	}
	if detached.Load() {
		return 0, errDetached // the lock may have been long in coming
	}
	r.waiting.Store(true)
	n, err := r.src.Read(p)
	r.waiting.Store(false)
	if !r.lost.Load() && r.read+int64(n) <= r.max {
		r.kept = append(r.kept, p[:n]...)
	} else {
		r.lost.Store(true)
	}
	r.read += int64(n)
	if r.err = err; err != nil && err != io.EOF {
		r.broken.Store(&err)
	}
	return n, err
}
