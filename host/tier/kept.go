package tier

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
)

// minKept is how much of a body can be read at least and still be taken back.
const minKept = 1 << 20

// keptBody is a body that keeps what is read of it until it is settled whether
// whoever reads it is to be undone. Until then closing it has no effect either.
type keptBody struct {
	body    io.ReadCloser
	kept    []byte
	offset  int // of the next read in kept
	max     int // of len(kept)
	settled bool
	lost    bool // more than max was read
	closed  bool
	end     error // of body

	// trailer is the message's, and atEnd what it was when the body ended: before
	// whoever is to be undone could change it.
	trailer *exchange.Header
	atEnd   exchange.Header
	ended   bool
}

// Read follows io.Reader.
func (k *keptBody) Read(p []byte) (int, error) {
	if k.offset < len(k.kept) {
		n := copy(p, k.kept[k.offset:])
		k.offset += n
		if k.settled && k.offset == len(k.kept) {
			k.kept, k.offset = nil, 0
		}
		return n, nil
	}
	if k.end != nil {
		return 0, k.end // who was told so must not read on: the server uses bodies again
	}
	n, err := k.body.Read(p)
	k.end = err
	if err == io.EOF && k.trailer != nil && !k.ended && !k.settled {
		k.ended = true
		k.atEnd.CopyFrom(k.trailer)
	}
	if k.settled || k.lost {
		return n, err
	}
	if len(k.kept)+n > k.max {
		k.lost, k.kept, k.offset = true, nil, 0
		return n, err
	}
	k.kept = append(k.kept, p[:n]...)
	k.offset = len(k.kept)
	return n, err
}

// Close follows io.Closer.
func (k *keptBody) Close() error {
	k.closed = true
	if k.settled {
		return k.body.Close()
	}
	return nil
}

// rewind makes the body begin at its first byte again; false if that is gone.
func (k *keptBody) rewind() bool {
	k.offset, k.closed = 0, false
	return !k.lost
}

// settle says that nothing will be undone: what was read is read, and what was
// closed is closed. It returns what stands for body from now on, if body is k:
// the body itself if nothing was read of it.
func (k *keptBody) settle(body io.ReadCloser) io.ReadCloser {
	k.settled = true
	if k.closed {
		k.body.Close() // its error is nobody's any more
	}
	untouched := len(k.kept) == 0 && !k.lost
	k.kept = k.kept[k.offset:]
	k.offset = 0
	if same, ok := body.(*keptBody); ok && same == k && untouched {
		return k.body
	}
	return body
}
