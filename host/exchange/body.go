package exchange

import (
	"errors"
	"io"
)

// ErrBodyTooLarge says that a body is larger than its bound.
var ErrBodyTooLarge = errors.New("body is larger than its bound")

// BodyError says that a body could not be read to its end because whoever
// sends it broke off, stopped making sense, or was silent for too long (Err is
// then an os.ErrDeadlineExceeded): nobody on the way is to blame. The request
// bodies of a server return it.
type BodyError struct {
	Response bool // the upstream's body, not the client's
	Err      error
}

func (e *BodyError) Error() string {
	if e.Response {
		return "read response body: " + e.Err.Error()
	}
	return "read request body: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// Buffered is a body whose first bytes are in memory. Reading it yields them
// and then the rest. It is not safe for concurrent use.
type Buffered struct {
	head []byte
	next int           // place in head of the byte to be read next
	rest io.ReadCloser // nil once the whole body is in head
}

// NewBuffered makes a body of bytes that are in memory already; they must not be
// written to any more.
func NewBuffered(whole []byte) *Buffered { return &Buffered{head: whole} }

// Peek reads up to max bytes of body into memory; body may be nil. The result
// stands for the whole body. An error of body other than io.EOF is returned.
func Peek(body io.ReadCloser, max int64) (*Buffered, error) {
	b := &Buffered{rest: body}
	if body == nil {
		return b, nil
	}
	head, err := io.ReadAll(io.LimitReader(body, max))
	b.head = head
	if err == nil && int64(len(head)) < max {
		b.rest = nil
		err = body.Close()
	}
	return b, err
}

// Buffer reads the whole body into memory; one of more than max bytes is
// ErrBodyTooLarge, with the result still standing for the whole body.
func Buffer(body io.ReadCloser, max int64) (*Buffered, error) {
	b, err := Peek(body, max+1)
	if err == nil && int64(len(b.head)) > max {
		err = ErrBodyTooLarge
	}
	return b, err
}

// Bytes returns what is in memory. It is valid until Close and must not be
// written to.
func (b *Buffered) Bytes() []byte { return b.head }

// Whole reports whether Bytes is the whole body.
func (b *Buffered) Whole() bool { return b.rest == nil }

// Rewind makes the next Read begin with the first byte again; it reports false,
// and does nothing, if bytes that are not in memory would be lost.
func (b *Buffered) Rewind() bool {
	if !b.Whole() {
		return false
	}
	b.next = 0
	return true
}

// Unread lends what is in memory and was not read yet, as Bytes does. Skip says how many
// bytes of it were taken: the next Read goes on after them.
func (b *Buffered) Unread() []byte { return b.head[b.next:] }

// Skip ends what Unread began.
func (b *Buffered) Skip(n int) { b.next += n }

// Ready reports that the next Read has bytes, or the end, at once.
func (b *Buffered) Ready() bool { return b.next < len(b.head) || b.rest == nil }

// Read follows io.Reader.
func (b *Buffered) Read(p []byte) (int, error) {
	if unread := b.Unread(); len(unread) > 0 {
		n := copy(p, unread)
		b.next += n
		return n, nil
	}
	if b.rest == nil {
		return 0, io.EOF
	}
	return b.rest.Read(p)
}

// Close closes the rest of the body.
func (b *Buffered) Close() error {
	if b.rest == nil {
		return nil
	}
	return b.rest.Close()
}

// endlessTypes are the media types of responses that may have no end, or are one half
// of a conversation.
var endlessTypes = [...]string{"text/event-stream", "application/grpc", "multipart/x-mixed-replace"}

// Endless reports whether a response may have no end, so that whoever held it whole
// would hang.
func (r *Response) Endless() bool {
	if r.Status == 101 {
		return true
	}
	contentType, _ := r.Header.GetKnown(ContentType)
	for _, prefix := range endlessTypes {
		if hasPrefixFold(contentType, prefix) {
			return true
		}
	}
	return false
}
