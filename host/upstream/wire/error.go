package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Blame says whose fault a failed try is.
type Blame uint8

// Blame decides what a failure is counted against: only the upstream's own
// failures eject an endpoint or open a breaker.
const (
	BlameUpstream Blame = iota
	BlameClient         // it went away, or its body was broken
	BlameHost           // a bound of ours was reached, or nobody was asked
)

// Error says why an exchange, or one try of it, failed at an upstream.
type Error struct {
	Upstream string
	Endpoint string // empty if none was chosen
	Cause    exchange.Cause
	Blame    Blame
	// Sent says that the endpoint may have acted on the request. If it did not,
	// any request may be tried again, else only an idempotent one (RFC 9110,
	// 9.2.2).
	Sent bool
	// Stale says that a connection from the pool broke before the response's
	// first byte: most likely the endpoint had closed it while it was idle.
	Stale      bool
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	s := "upstream " + e.Upstream
	if e.Endpoint != "" {
		s += ": " + e.Endpoint
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Withdrawn reports whether the endpoint was taken off while the request had it in
// mind: it was not asked, and never will be.
func (e *Error) Withdrawn() bool { return e.Err == errClosed }

// Failure renders e for the exchange.
func (e *Error) Failure() *exchange.Failure {
	return &exchange.Failure{Cause: e.Cause, Status: e.status(), RetryAfter: e.RetryAfter, Err: e}
}

// statusClientGone is nginx's status for a client that did not wait.
const statusClientGone = 499

func (e *Error) status() int {
	switch e.Cause {
	case exchange.CauseTimeout:
		return 504
	case exchange.CauseNoEndpoint, exchange.CauseCircuitOpen, exchange.CauseOverload:
		return 503
	case exchange.CauseNoRoute:
		return 404
	case exchange.CauseClient:
		switch {
		case errors.Is(e.Err, errClientGone):
			return statusClientGone
		case isSilence(e.Err), errors.Is(e.Err, errSlowClient):
			return 408
		case errors.Is(e.Err, errFieldsTooLarge):
			return 431
		}
		return 400
	}
	return 502
}

// isSilence reports whether a body ended because its sender was silent for too
// long (exchange.BodyError).
func isSilence(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Causes of a try's context that tell a deadline from the client's leave.
var (
	ErrTimeout    = errors.New("no response in time")
	ErrTryTimeout = errors.New("no response to this try in time")
)

// Reasons that the host itself has for ending a try.
var (
	errTooManyPending = errors.New("too many requests wait for a connection")
	errClientGone     = errors.New("client went away")
	errSlowClient     = errors.New("no response in time: the request's body was still to come")
	errFieldsTooLarge = errors.New("endpoint takes no fields as large as the request's")
	errClosed         = errors.New("connection pool is closed")
	errBroken         = errors.New("connection broke before a whole response head")
	errTooManyInforms = errors.New("too many informational responses")
	errNotHTTP2       = errors.New("endpoint does not speak HTTP/2")
	errNotUpgradable  = errors.New("protocol h2 cannot carry an upgrade")
	errBadStatus      = errors.New("response status outside 200 to 599")
	errBadField       = errors.New("response field with a byte that is not allowed")
	errBadRequest     = errors.New("request cannot be written as HTTP")
)

// Ended classifies why an exchange ended: the client's leave, a deadline, or
// another reason that the host had.
func Ended(cause error) *Error {
	switch {
	case errors.Is(cause, ErrTimeout), errors.Is(cause, ErrTryTimeout), errors.Is(cause, context.DeadlineExceeded):
		return &Error{Cause: exchange.CauseTimeout, Err: cause}
	case errors.Is(cause, context.Canceled):
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: errClientGone}
	}
	return &Error{Cause: exchange.CauseTimeout, Blame: BlameHost, Err: cause}
}

// unreachable classifies an error before there was a connection.
func unreachable(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if errors.Is(err, errClosed) {
		return &Error{Cause: exchange.CauseNoEndpoint, Blame: BlameHost, Err: err}
	}
	return &Error{Cause: exchange.CauseRefused, Err: err}
}

// broken classifies an error after a request was handed to a connection.
func broken(err error) *Error {
	switch {
	case isTooLarge(err):
		return &Error{Cause: exchange.CauseClient, Blame: BlameClient, Err: errFieldsTooLarge}
	case neverProcessed(err):
		return &Error{Cause: exchange.CauseReset, Err: err}
	case isTimeout(err):
		return &Error{Cause: exchange.CauseTimeout, Sent: true, Err: err}
	case isReset(err):
		return &Error{Cause: exchange.CauseReset, Sent: true, Err: err}
	}
	return &Error{Cause: exchange.CauseProtocol, Sent: true, Err: err}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isReset(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, errBroken, net.ErrClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	if socket := (*net.OpError)(nil); errors.As(err, &socket) {
		return true // whatever this system calls it
	}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		return true
	}
	var stream http2.StreamError
	if errors.As(err, &stream) {
		return stream.Code != http2.ErrCodeProtocol
	}
	return hasText(err, "server closed idle connection", "client connection lost", "client connection force closed")
}

// neverProcessed reports whether HTTP/2 promises that the request was not acted
// on (RFC 9113, 8.7). net/http exports no value for a stream above the last one
// that a GOAWAY names, so that one is known by its text: the whole of it, because
// an endpoint's own words are a part of other errors.
func neverProcessed(err error) bool {
	text := err.Error()
	return isRefusal(err) || text == "http2: Transport received Server's graceful shutdown GOAWAY" ||
		text == "http2: client conn not usable"
}

// isRefusal reports whether an HTTP/2 endpoint refused this one stream. Its
// connection is as good as before.
func isRefusal(err error) bool {
	var stream http2.StreamError
	return errors.As(err, &stream) && stream.Code == http2.ErrCodeRefusedStream
}

// isTooLarge reports whether net/http has not sent a request because its fields
// are larger than the SETTINGS of an HTTP/2 endpoint allow.
func isTooLarge(err error) bool {
	return strings.HasSuffix(err.Error(), "request header list larger than peer's advertised limit")
}

func hasText(err error, texts ...string) bool {
	s := err.Error()
	for _, text := range texts {
		if strings.Contains(s, text) {
			return true
		}
	}
	return false
}
