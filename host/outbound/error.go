package outbound

import (
	"context"
	"errors"
)

// Kind is the kind of a call's failure: what a guest is told, and a metric
// counts.
type Kind uint8

// Kinds of failure.
const (
	NotGranted Kind = iota // the manifest does not allow this host, upstream or method
	BadRequest             // it cannot be written as a request
	Refused                // a host's address is special, and not among the internal ones
	Busy                   // as many calls as there may be are under way
	TimedOut               // there was no whole response in time
	TooLarge               // the request or the response is beyond its bound
	Failed                 // anything else: not reached, broken off, ended with the exchange or the policy
)

var kindNames = [...]string{"not_granted", "bad_request", "refused", "busy", "timed_out", "too_large", "failed"}

// String returns the kind's name in metrics and traces.
func (k Kind) String() string { return kindNames[k] }

// Error is the failure of one call.
type Error struct {
	Kind   Kind
	Policy string
	Target string // the origin or upstream, as far as it is known
	Err    error
}

func (e *Error) Error() string {
	return "call of policy " + e.Policy + " to " + e.Target + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reasons of failures.
var (
	errClosed       = errors.New("the policy is closed")
	errBusy         = errors.New("too many calls are under way")
	errRequestSize  = errors.New("the request's body is larger than request_body")
	errResponseSize = errors.New("the response's body is larger than response_body")
	errFieldsSize   = errors.New("the request's fields are too large")
	errTimeout      = errors.New("no whole response in time")
)

// kindOf tells the kind of what went wrong once a call was under way.
func kindOf(ctx context.Context, err error) Kind {
	var (
		special *SpecialAddressError
		own     *statusError
	)
	switch {
	case errors.As(err, &special):
		return Refused
	case errors.Is(err, errResponseSize), errors.As(err, &own) && own.status.Code == codeResourceExhausted:
		return TooLarge
	case errors.Is(err, errBusy):
		return Busy
	case errors.Is(err, errTimeout), errors.Is(context.Cause(ctx), errTimeout), errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}
