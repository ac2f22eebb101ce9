// Package capability holds the host modules that a manifest can grant to
// guests of any ABI, one file each.
//
// All of them have this in common: parameters are i32, a pair of them is a
// pointer and a length in the guest's memory, and a range outside of that
// memory traps. What acts on an exchange traps while the guest starts.
package capability

import (
	"fmt"
	"unsafe"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// status is what functions that can be refused return.
type status = uint64

const (
	ok          status = 0
	notFound    status = 1 // what was named does not exist
	badArgument status = 2 // too long, out of range, or not text
	tooLate     status = 3 // what it would change has happened

	// Of calls.
	pending    status = 4  // ask again later
	notGranted status = 5  // the manifest does not name it
	refused    status = 6  // nobody may have it
	timedOut   status = 7  // there was no whole answer in time
	tooLarge   status = 8  // it, or the answer, is beyond its bound
	busy       status = 9  // as many as may be are under way
	failed     status = 10 // not reached, or broken off

	// Of what a policy may have a number of.
	noRoom status = 11 // there are as many, or as large, as may be
	taken  status = 12 // the name is that of something else

	// Of what is to be authentic.
	mismatch status = 13 // the tag, the signature or the password is wrong
)

// none is the length of a value that there is not: -1.
const none = 0xffff_ffff

// granted returns what the policy's grants come to.
func granted(call *wasm.Call) *policy.Granted { return call.Granted.(*policy.Granted) }

// read returns length bytes of the guest's memory, valid until the guest goes
// on.
func read(mod api.Module, offset, length uint64) []byte {
	b, inside := mod.Memory().Read(uint32(offset), uint32(length))
	if !inside {
		panic(fmt.Errorf("%d bytes at %d are outside of the guest's memory", uint32(length), uint32(offset)))
	}
	return b
}

// view is bytes of the guest's memory as a string, valid until the guest goes on.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// give writes value at offset if it fits limit, and returns its length in
// either case.
func give(mod api.Module, offset, limit uint64, value string) uint64 {
	if len(value) <= int(uint32(limit)) {
		copy(read(mod, offset, uint64(len(value))), value)
	}
	return uint64(len(value))
}

func function(name string, params int, results []api.ValueType, call api.GoModuleFunc) wasm.HostFunction {
	f := wasm.HostFunction{Name: name, Results: results, Call: call}
	for range params {
		f.Params = append(f.Params, wasm.I32)
	}
	return f
}

var one = []api.ValueType{wasm.I32}
