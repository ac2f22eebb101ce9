package guest

import "errors"

// Why the host refused a routing decision: ErrNotFound says that the manifest has no
// such upstream.
var (
	ErrNotFound    = errors.New("there is nothing of this name")
	ErrBadArgument = errors.New("the value is outside its range")
	ErrTooLate     = errors.New("the request was already sent on")
)

// SetUpstream sends the request to the named upstream. Like all functions of
// ergo_route it needs the grant of that name.
func SetUpstream(name string) error { return routeError(setUpstream(name)) }

// AddFallback names an upstream that is taken while the chosen one, and the fallbacks
// added before, have no healthy endpoint. There are at most four, of the upstream that
// was set last; one more is ErrNoRoom.
func AddFallback(name string) error { return routeError(addFallback(name)) }

// Upstream returns the upstream chosen so far, or "".
func Upstream() string { return string(read(getUpstream)) }

// SetHashKey sets the key by which a hashing balancer picks the endpoint.
func SetHashKey(key string) error { return routeError(setHashKey(key)) }

// SetTimeoutMS sets the time that the upstream has in all, in milliseconds; 0 leaves
// what the manifest says. It takes no time.Duration, because package time alone
// would make every module a tenth larger.
func SetTimeoutMS(milliseconds int) error {
	if milliseconds < 0 || milliseconds > 1<<31-1 {
		return ErrBadArgument
	}
	return routeError(setTimeout(uint32(milliseconds)))
}

// SetRetries sets how often the host may try again, 0 to 10.
func SetRetries(count int) error {
	if count < 0 || count > 10 {
		return ErrBadArgument
	}
	return routeError(setRetries(uint32(count)))
}

func routeError(status uint32) error {
	switch status {
	case 0:
		return nil
	case 1:
		return ErrNotFound
	case 3:
		return ErrTooLate
	case 11:
		return ErrNoRoom
	default:
		return ErrBadArgument
	}
}
