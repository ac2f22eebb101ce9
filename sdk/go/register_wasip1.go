package guest

import "slices"

var registered Policy

// exit is os.Exit without package os, which is a fifth of a small module.
//
//go:wasmimport wasi_snapshot_preview1 proc_exit
func exit(code uint32)

// Register makes the policy of this module: it has configure read the
// configuration (JSON, empty for none) and prepare everything that a request can
// be spared. Call it once, in an init function. An error is logged and ends the
// instance: the host sees a policy that did not start, never one that lets
// everything pass.
func Register(configure func(config []byte) (Policy, error)) {
	policy, err := configure(slices.Clone(read(getConfig)))
	if err != nil {
		Log(Error, err.Error())
		exit(1)
	}
	registered = policy
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	if registered.Request == nil {
		return uint64(Continue)
	}
	return uint64(registered.Request(Request{}))
}

//go:wasmexport handle_response
func handleResponse(context, isError uint32) {
	if registered.Response != nil {
		registered.Response(Response{}, context, isError != 0)
	}
}
