package capability

import (
	"context"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Route is the module ergo_route: a guest decides where its exchange goes.
//
//	set_upstream(name, name_len) -> status      by its name in the manifest
//	add_fallback(name, name_len) -> status      taken while that, and those added before, have no endpoint; at most 4
//	get_upstream(buf, buf_limit) -> len         chosen so far, "" for the manifest's
//	set_hash_key(key, key_len) -> status        what a hashing balancer hashes; at most 1024 bytes
//	set_timeout(milliseconds) -> status         for the whole stay at the upstream; 0: the manifest's; at most 1 h
//	set_retries(count) -> status                further tries, 0 to 10
//
// set_upstream forgets the fallbacks of the upstream before. One that has no endpoint
// has none that is healthy and not ejected, or its breaker is open.
//
// get_upstream writes only what fits buf_limit and returns the length in either
// case. The status is 0 for done, 1 if the upstream is not in the manifest, 2
// for an argument out of bounds, 3 once the request went on, and 11 if there are as
// many fallbacks as may be.
func Route() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_route", Functions: []wasm.HostFunction{
		function("set_upstream", 2, one, setUpstream),
		function("add_fallback", 2, one, addFallback),
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
	if stack[0] = known(x, name); stack[0] == ok {
		x.Route.Upstream, x.Route.Fallbacks = name, [exchange.MaxFallbacks]string{}
	}
}

func addFallback(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	x := call.MustExchange()
	name := call.String(read(mod, stack[0], stack[1]))
	if stack[0] = known(x, name); stack[0] != ok {
		return
	}
	place := slices.Index(x.Route.Fallbacks[:], "")
	if place < 0 {
		stack[0] = noRoom
		return
	}
	x.Route.Fallbacks[place] = name
}

// known is the status of a decision for the upstream of that name.
func known(x *exchange.Exchange, name string) status {
	switch {
	case x.Route.Sent:
		return tooLate
	case name == "":
		return badArgument
	case x.Upstreams == nil || !x.Upstreams.HasUpstream(name):
		return notFound
	}
	return ok
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
