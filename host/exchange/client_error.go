package exchange

import "strconv"

// ClientError says that a request's body could not be read to its end and that
// the client is to blame. A server's request bodies return it, so that whoever
// sends them on can tell it from an error of the upstream.
type ClientError struct {
	Status int // 400: not HTTP; 408: silent for too long; 499: went away
	Err    error
}

func (e *ClientError) Error() string {
	return "read request body: " + strconv.Itoa(e.Status) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ClientError) Unwrap() error { return e.Err }
