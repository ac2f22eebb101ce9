package wasm

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// ErrStack is what a guest is trapped with whose calls are nested too deep.
var ErrStack = errors.New("its calls are nested too deep")

// maxStack is how many bytes of stack the calls of a guest may take. It is looked
// at when the guest comes to the host. Until then they can take 3 MiB more at most:
// package meter sees for that.
const maxStack = 1 << 20

// stack says how deep a guest is. wazero makes a stack of its own for each function
// that it hands out, and doubles it, up to 100 MB of the host's memory, without
// telling anybody. So the place where it begins is read from the field where wazero
// keeps it; a test fails if that moves. Where wazero interprets there is none, and
// calls are 2,000 deep at most.
type stack struct {
	running api.Function
	kind    reflect.Type // of functions; nil: not known yet
	field   []int        // where it has its stack's top; nil: nowhere
}

// enter says what runs from now on, and returns what ran before.
func (s *stack) enter(f api.Function) (before api.Function) {
	before, s.running = s.running, f
	return before
}

// depth returns how many bytes lie between where the stack begins and the place of
// these parameters of a host function. It is 0 if that is not known.
func (s *stack) depth(params []uint64) uintptr {
	f := reflect.ValueOf(s.running)
	if s.kind == nil {
		s.find(f.Type())
	}
	if s.field == nil || f.Type() != s.kind {
		return 0
	}
	return uintptr(f.Elem().FieldByIndex(s.field).Uint()) - uintptr(unsafe.Pointer(&params[0]))
}

func (s *stack) find(function reflect.Type) {
	s.kind = function
	if function.Kind() != reflect.Pointer || function.Elem().Kind() != reflect.Struct {
		return
	}
	if top, ok := function.Elem().FieldByName("stackTop"); ok && top.Type.Kind() == reflect.Uintptr {
		s.field = top.Index
	}
}
