package outbound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// This file is gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md), a client's side.

// Status is how a gRPC call ended.
type Status struct {
	Code    int // as grpc/doc/statuscodes.md numbers them
	Message string
}

// Codes of statuses that the client makes itself.
const (
	codeUnknown           = 2
	codeDeadlineExceeded  = 4
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeUnimplemented     = 12
	codeInternal          = 13
	codeUnavailable       = 14
	codeUnauthenticated   = 16
)

const (
	prefixBytes = 5 // of a message: whether it is compressed, and its length
	grpcType    = "application/grpc"
)

// appendMessage appends a message with its prefix.
func appendMessage(dst, message []byte) []byte {
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(message)))
	return append(dst, message...)
}

// readMessage reads one message of at most limit bytes. It returns io.EOF at the
// end of the stream, and a *statusError for what is no message.
func readMessage(r io.Reader, limit int64) ([]byte, error) {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(r, prefix[:]); err == io.ErrUnexpectedEOF {
		return nil, &statusError{Status{codeInternal, "the stream ends within a message"}}
	} else if err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] != 0:
		return nil, &statusError{Status{codeUnimplemented, "the message is compressed, which was not offered"}}
	case length > limit:
		return nil, &statusError{Status{codeResourceExhausted, fmt.Sprintf("a message of %d bytes is beyond the bound of %d", length, limit)}}
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(r, message); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, &statusError{Status{codeInternal, "the stream ends within a message"}}
	} else if err != nil {
		return nil, err
	}
	return message, nil
}

// statusError ends a stream with a status of the client's own.
type statusError struct{ status Status }

func (e *statusError) Error() string {
	return fmt.Sprintf("grpc status %d: %s", e.status.Code, e.status.Message)
}

// callFields adds what a gRPC request needs to the metadata.
func callFields(h *exchange.Header, timeout time.Duration) {
	for _, name := range []string{"content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"} {
		h.Del(name)
	}
	h.Add("te", "trailers")
	h.Add("content-type", grpcType)
	h.Add("grpc-accept-encoding", "identity")
	if timeout > 0 {
		h.Add("grpc-timeout", timeoutText(timeout))
	}
}

// timeoutText is a duration in at most 8 digits and a unit, rounded up.
func timeoutText(d time.Duration) string {
	units := []struct {
		unit time.Duration
		name string
	}{{time.Nanosecond, "n"}, {time.Microsecond, "u"}, {time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}, {time.Hour, "H"}}
	for _, u := range units {
		if n := (d + u.unit - 1) / u.unit; n < 1e8 {
			return strconv.FormatInt(int64(n), 10) + u.name
		}
	}
	return "99999999H"
}

// refusal is the status of a response that is no gRPC; ok is false if it is.
func refusal(a *answer) (s Status, ok bool) {
	kind := a.header.Value("content-type")
	switch {
	case a.header.Has("grpc-status"):
		return Status{}, false // a proxy may speak of a status without the type
	case a.status != 200:
		return Status{codeOf(a.status), "HTTP status " + strconv.Itoa(a.status)}, true
	case kind != grpcType && !strings.HasPrefix(kind, grpcType+"+") && !strings.HasPrefix(kind, grpcType+";"):
		return Status{codeUnknown, "the response is no gRPC"}, true
	}
	return Status{}, false
}

// codeOf maps as grpc/doc/http-grpc-status-mapping.md does.
func codeOf(status int) int {
	switch status {
	case 400:
		return codeInternal
	case 401:
		return codeUnauthenticated
	case 403:
		return codePermissionDenied
	case 404:
		return codeUnimplemented
	case 429, 502, 503, 504:
		return codeUnavailable
	}
	return codeUnknown
}

// statusOf reads the status from trailers, or from the header of a response that
// has nothing else.
func statusOf(h *exchange.Header) (Status, error) {
	text, ok := h.Get("grpc-status")
	if !ok {
		return Status{}, &statusError{Status{codeInternal, "the stream ends without a status"}}
	}
	code, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return Status{}, &statusError{Status{codeUnknown, "the status is no number"}}
	}
	return Status{int(code), percentDecode(h.Value("grpc-message"))}, nil
}

// percentDecode reads a grpc-message. What is not encoded well stays as it is.
func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				decoded = append(decoded, byte(b))
				i += 2
				continue
			}
		}
		decoded = append(decoded, s[i])
	}
	return string(decoded)
}

// statusOfFailure is the status of a stream that had no response, or broke off.
func statusOfFailure(failure *Error) Status {
	var own *statusError
	if errors.As(failure, &own) {
		return own.status
	}
	return Status{codeOfKind(failure.Kind), failure.Kind.String()}
}

func codeOfKind(k Kind) int {
	switch k {
	case NotGranted, Refused:
		return codePermissionDenied
	case BadRequest:
		return codeInternal
	case Busy, TooLarge:
		return codeResourceExhausted
	case TimedOut:
		return codeDeadlineExceeded
	}
	return codeUnavailable
}
