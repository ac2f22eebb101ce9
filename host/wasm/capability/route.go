package capability

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Route is the module ergo_route: a guest decides where its exchange goes.
//
//	set_upstream(name, name_len) -> status      by its name in the manifest
//	get_upstream(buf, buf_limit) -> len         chosen so far, "" for the manifest's
//	set_hash_key(key, key_len) -> status        what a hashing balancer hashes; at most 1024 bytes
//	set_timeout(milliseconds) -> status         for the whole stay at the upstream; 0: the manifest's; at most 1 h
//	set_retries(count) -> status                further tries, 0 to 10
//
// get_upstream writes only what fits buf_limit and returns the length in either
// case. The status is 0 for done, 1 if the upstream is not in the manifest, 2
// for an argument out of bounds, and 3 once the request went on.
func Route() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_route", Functions: []wasm.HostFunction{
		function("set_upstream", 2, one, setUpstream),
		function("get_upstream", 2, one, getUpstream),
		function("set_hash_key", 2, one, setHashKey),
		function("set_timeout", 1, one, setTimeout),
		function("set_retries", 1, one, setRetries),
	}}
}

const (
	maxHashKey = 1024
	maxTimeout = time.Hour
	maxRetries = 10
)

func setUpstream(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	x := call.MustExchange()
	name := call.String(read(mod, stack[0], stack[1]))
	switch {
	case x.Route.Sent:
		stack[0] = tooLate
	case name == "":
		stack[0] = badArgument
	case x.Upstreams == nil || !x.Upstreams.HasUpstream(name):
		stack[0] = notFound
	default:
		x.Route.Upstream = name
		stack[0] = ok
	}
}

func getUpstream(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	stack[0] = give(mod, stack[0], stack[1], x.Route.Upstream)
}

func setHashKey(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	x := call.MustExchange()
	key := read(mod, stack[0], stack[1])
	if stack[0] = decide(x, len(key) <= maxHashKey); stack[0] == ok {
		x.Route.HashKey = call.String(key)
	}
}

func setTimeout(ctx context.Context, _ api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	timeout := time.Duration(uint32(stack[0])) * time.Millisecond
	if stack[0] = decide(x, timeout <= maxTimeout); stack[0] == ok {
		x.Route.Timeout = timeout
	}
}

func setRetries(ctx context.Context, _ api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	count := uint32(stack[0])
	if stack[0] = decide(x, count <= maxRetries); stack[0] == ok {
		x.Route.Retries, x.Route.RetriesSet = int(count), true
	}
}

// decide is the status of a change whose argument is sound or not.
func decide(x *exchange.Exchange, sound bool) status {
	switch {
	case x.Route.Sent:
		return tooLate
	case !sound:
		return badArgument
	}
	return ok
}
