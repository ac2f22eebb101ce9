package cache

import "errors"

var (
	// ErrArgument says that a key, a head or a selector is out of bounds.
	ErrArgument = errors.New("an argument is out of bounds")
	// ErrTooLarge says that a body exceeds the bound of one entry.
	ErrTooLarge = errors.New("the body is too large for the cache")
	// ErrFull says that as many responses are being stored as there is room for.
	ErrFull = errors.New("the cache has no room at the moment")
	// ErrPurged says that what a response would replace was purged while it was on
	// its way: it may be from before.
	ErrPurged = errors.New("it was purged before it was stored")
	// ErrDone says that a Writer was committed or aborted before.
	ErrDone = errors.New("the writer is done")
)
