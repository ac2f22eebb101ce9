//go:build !wasip1

package guest

import (
	"errors"
	"slices"
	"strings"
)

// NewAnswered makes a response for Fake.Fetch; fields are name and value by turns.
func NewAnswered(status int, body string, fields ...string) Answered {
	return Answered{Status: status, Body: []byte(body), header: fields}
}

// fakeCall is a call that a Fake has answered already.
type fakeCall struct {
	answered Answered
	status   uint32
}

var callErrors = []error{nil, ErrFailed, ErrBadArgument, ErrFailed, ErrPending, ErrNotGranted, ErrAddress, ErrTimeout, ErrTooLarge, ErrBusy, ErrFailed}

// startCall has the test answer at once. What was not granted is told at the
// start, all else when it is awaited.
func startCall(method, url, fields string, body []byte, timeout uint32) (handle, status uint32) {
	if current.Fetch == nil {
		return 0, 5
	}
	call := Call{Method: method, URL: url, Body: body, TimeoutMS: int(timeout)}
	if fields != "" {
		call.Fields = strings.Split(strings.TrimSuffix(fields, "\x00"), "\x00")
	}
	answered, err := current.Fetch(call)
	done := fakeCall{answered: answered}
	if done.status = uint32(max(slices.IndexFunc(callErrors, func(e error) bool { return errors.Is(err, e) }), 0)); done.status == 5 {
		return 0, 5
	}
	if current.calls == nil {
		current.calls = map[uint32]fakeCall{}
	}
	current.lastCall++
	current.calls[current.lastCall] = done
	return current.lastCall, 0
}

// sendCall has the test answer, too; nobody reads it.
func sendCall(method, url, fields string, body []byte, timeout uint32) uint32 {
	handle, status := startCall(method, url, fields, body, timeout)
	if status == 0 {
		closeCall(handle)
	}
	return status
}

func awaitCall(handle, _ uint32) uint32 {
	done, known := current.calls[handle]
	if !known {
		return 1
	}
	return done.status
}

func getCallStatus(handle uint32) uint32     { return uint32(current.calls[handle].answered.Status) }
func getCallBodyLength(handle uint32) uint32 { return uint32(len(current.calls[handle].answered.Body)) }
func closeCall(handle uint32)                { delete(current.calls, handle) }

func getCallFields(handle, kind uint32, buf []byte) uint32 {
	answered := current.calls[handle].answered
	list := [...][]string{answered.header, answered.trailer}[kind]
	joined := strings.Join(list, "\x00")
	if joined != "" {
		joined += "\x00"
	}
	return give(joined, buf)
}

func readCallBody(handle, offset uint32, buf []byte) uint32 {
	return uint32(copy(buf, current.calls[handle].answered.Body[offset:]))
}
