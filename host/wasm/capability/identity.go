package capability

import (
	"context"
	"errors"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Identity is the module ergo_identity: a guest is told who the client is, as a
// policy before it has established.
//
//	subject(buf, buf_limit) -> len                              "" for nobody
//	method(buf, buf_limit) -> len                               name of the policy that established it
//	attribute(name, name_len, buf, buf_limit) -> len            -1 if nothing is known by that name
//	attribute_names(buf, buf_limit) -> count<<32 | len (i64)    each ends with NUL, in the order they were given
//
// They write only what fits buf_limit and return the length in either case. Who
// the client is travels with the exchange through both tiers, also between hosts,
// and never to the client or an upstream unless a policy puts it into a field.
func Identity() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_identity", Functions: []wasm.HostFunction{
		function("subject", 2, one, getSubject),
		function("method", 2, one, getMethod),
		function("attribute", 4, one, getAttribute),
		function("attribute_names", 2, []api.ValueType{wasm.I64}, getAttributeNames),
	}}
}

// Identify is the module ergo_identify: a guest establishes who the client is.
// Policies that come later believe it, so it is granted to those that
// authenticate, and to no others.
//
//	identify(subject, subject_len) -> status                        of at most 1 KiB; what was known before is gone
//	set_attribute(name, name_len, value, value_len) -> status       one more, or in place of the one of that name
//	forget() -> status                                              the client is nobody again
//
// Text is valid UTF-8 without control characters; only a value may be empty. An
// identity has at most 32 attributes, with names of 64 bytes and values of 2 KiB,
// and 8 KiB together. The status is 0 for done, 1 for an attribute of nobody, 2
// for text that does not fit, 3 once the request went on, and 11 for an attribute
// too many. A policy that is skipped for its failure has established nothing.
func Identify() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_identify", Functions: []wasm.HostFunction{
		function("identify", 2, one, identify),
		function("set_attribute", 4, one, setAttribute),
		function("forget", 0, one, forget),
	}}
}

func getSubject(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	stack[0] = give(mod, stack[0], stack[1], x.Identity.Subject)
}

func getMethod(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	stack[0] = give(mod, stack[0], stack[1], x.Identity.Method)
}

func getAttribute(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	name := call.String(read(mod, stack[0], stack[1]))
	value, known := call.MustExchange().Identity.Attribute(name)
	if !known {
		stack[0] = none
		return
	}
	stack[0] = give(mod, stack[2], stack[3], value)
}

func getAttributeNames(ctx context.Context, mod api.Module, stack []uint64) {
	var joined strings.Builder
	attributes := wasm.CallOf(ctx).MustExchange().Identity.Attributes
	for _, a := range attributes {
		joined.WriteString(a.Name)
		joined.WriteByte(0)
	}
	stack[0] = uint64(len(attributes))<<32 | give(mod, stack[0], stack[1], joined.String())
}

func identify(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	x := call.MustExchange()
	subject := view(read(mod, stack[0], stack[1]))
	if x.Route.Sent {
		stack[0] = tooLate
		return
	}
	stack[0] = identityStatus(x.Identify(subject, granted(call).Policy))
}

func setAttribute(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	name, value := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	if x.Route.Sent {
		stack[0] = tooLate
		return
	}
	stack[0] = identityStatus(x.AddAttribute(view(name), view(value)))
}

func forget(ctx context.Context, _ api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	if x.Route.Sent {
		stack[0] = tooLate
		return
	}
	x.Identity.Reset()
	stack[0] = ok
}

func identityStatus(err error) status {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, exchange.ErrNobody):
		return notFound
	case errors.Is(err, exchange.ErrIdentityRoom):
		return noRoom
	}
	return badArgument
}
