package outbound

import (
	"io"
	"sync"
)

// queue is the body of a stream's request: what was sent and is not on its way
// yet. One goroutine reads it; it is safe for concurrent use.
type queue struct {
	mu     sync.Mutex
	moved  sync.Cond // there is something to read, or will never be
	bytes  []byte
	limit  int
	ended  bool // nothing follows bytes
	broken error
}

func newQueue(limit int64) *queue {
	q := &queue{limit: int(limit)}
	q.moved.L = &q.mu
	return q
}

// put appends a message. It does not wait: what is beyond the limit is errBusy,
// and after the end io.ErrClosedPipe.
func (q *queue) put(message []byte, end bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.broken != nil:
		return q.broken
	case q.ended:
		return io.ErrClosedPipe
	case message != nil && len(q.bytes)+prefixBytes+len(message) > q.limit:
		return errBusy
	}
	if message != nil {
		q.bytes = appendMessage(q.bytes, message)
	}
	q.ended = end
	q.moved.Broadcast()
	return nil
}

// Read follows io.Reader.
func (q *queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.bytes) == 0 && !q.ended && q.broken == nil {
		q.moved.Wait()
	}
	switch {
	case q.broken != nil:
		return 0, q.broken
	case len(q.bytes) == 0:
		return 0, io.EOF
	}
	n := copy(p, q.bytes)
	if q.bytes = q.bytes[n:]; len(q.bytes) == 0 {
		q.bytes = nil
	}
	return n, nil
}

// Close ends reads and further messages.
func (q *queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken, q.bytes = io.ErrClosedPipe, nil
	}
	q.moved.Broadcast()
	return nil
}
