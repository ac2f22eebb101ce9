package state

import "errors"

// Why an operation was refused. Nothing was changed, except that after
// ErrUnavailable it is not known.
var (
	// ErrNotFound says that there is nothing under the key.
	ErrNotFound = errors.New("there is nothing under this key")
	// ErrCAS says that what is there is not what was read before.
	ErrCAS = errors.New("it was changed meanwhile")
	// ErrKind says that the key holds something else: a value, a counter, a bucket or a
	// window.
	ErrKind = errors.New("the key holds another kind of thing")
	// ErrOverflow says that the sum is no int64.
	ErrOverflow = errors.New("the counter would overflow")
	// ErrFull says that a bound would be exceeded.
	ErrFull = errors.New("the policy's state is full")
	// ErrArgument says that a key, value, time or bucket is out of bounds.
	ErrArgument = errors.New("an argument is out of bounds")
	// ErrUnavailable says that the shared store can't be reached in time.
	ErrUnavailable = errors.New("the shared store is not available")

	// ErrNoQueue says that there is no queue of that id.
	ErrNoQueue = errors.New("there is no such queue")
	// ErrEmpty says that there is nothing in the queue.
	ErrEmpty = errors.New("the queue is empty")
)
