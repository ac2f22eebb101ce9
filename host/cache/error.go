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
	// ErrDamaged says that a stored body can't be read, or is not what was stored.
	ErrDamaged = errors.New("the stored body is lost")
	// ErrDisk says that the folder of the disk tier can't be used.
	ErrDisk = errors.New("the cache's folder can't be used")
	// ErrUntold says that a purge was done here, and that other hosts will hear of it
	// when that is possible.
	ErrUntold = errors.New("other hosts could not be told of the purge yet")
	// ErrDone says that a Writer was committed or aborted before.
	ErrDone = errors.New("the writer is done")

	errLocked   = errors.New("another process has it")
	errChecksum = errors.New("it is not what was stored")
)
