package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

// FaultKind says in which way a guest failed.
type FaultKind uint8

// Kinds of faults.
const (
	Trapped       FaultKind = iota // an instruction or a host function trapped
	TimedOut                       // its time was up, or its ticks
	Exited                         // it ended itself (proc_exit)
	StackOverflow                  // it called itself too deep
	OutOfMemory                    // it trapped after it was refused more memory
	Unavailable                    // what it needs is gone: Call.Fail
)

var faultNames = [...]string{"trap", "timeout", "exit", "stack overflow", "out of memory", "unavailable"}

// String returns the kind in words.
func (k FaultKind) String() string { return faultNames[k] }

// Fault is the failure of one call into a guest. The instance is spent, except that
// after Unavailable it may not be: Instance.Spent tells.
type Fault struct {
	Kind FaultKind
	Err  error // wazero's, with the guest's stack; or the host function's, wrapped
}

func (f *Fault) Error() string { return f.Kind.String() + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// fault names the kind of an error that a call returned.
func (i *Instance) fault(err error) *Fault {
	var exit *sys.ExitError
	switch {
	case i.call.failure != nil:
		return &Fault{Unavailable, i.call.failure}
	case errors.Is(err, ErrTime), errors.Is(err, ErrTicks), i.call.budget.expired:
		return &Fault{TimedOut, err}
	case errors.Is(err, ErrStack), strings.HasPrefix(err.Error(), stackOverflow):
		return &Fault{StackOverflow, err}
	case errors.As(err, &exit):
		return &Fault{Exited, fmt.Errorf("the guest ended itself with proc_exit(%d)", exit.ExitCode())}
	case i.memory.refused:
		return &Fault{OutOfMemory, fmt.Errorf("it was refused more than %d bytes: %w", i.memory.limit, err)}
	}
	return &Fault{Trapped, err}
}

// stackOverflow is how wazero's own error reads, which has no exported name: what is
// not metered comes to that.
const stackOverflow = "stack overflow"
