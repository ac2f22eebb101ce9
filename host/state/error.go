package state

import "errors"

// Why an operation was refused.
var (
	// ErrFull says that a bound would be exceeded. What was there stays.
	ErrFull = errors.New("the policy's state is full")
	// ErrCAS says that the value is no longer the one that was read.
	ErrCAS = errors.New("the value was set meanwhile")
	// ErrNoQueue says that there is no queue of that id.
	ErrNoQueue = errors.New("there is no such queue")
	// ErrEmpty says that there is nothing in the queue.
	ErrEmpty = errors.New("the queue is empty")
)
