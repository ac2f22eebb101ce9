package httpwasm

import (
	"context"
	"net/netip"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

func getMethod(ctx context.Context, mod api.Module, stack []uint64) {
	stack[0] = give(mod, stack[0], stack[1], sessionOf(ctx).x.Request.Method)
}

func setMethod(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	s.mustNotHavePassed("method")
	if uint32(stack[1]) > maxNameBytes {
		trap("a method can't have more than %d bytes", maxNameBytes)
	}
	method := wasm.CallOf(ctx).String(view(mod, stack[0], stack[1]))
	if !exchange.ValidName(method) || method == "CONNECT" {
		trap("%q can't be a request's method", method)
	}
	s.x.Request.Method = method
}

// maxTargetBytes bounds the URI that a guest sets, past what most servers take.
const maxTargetBytes = 64 << 10

func getURI(ctx context.Context, mod api.Module, stack []uint64) {
	target := sessionOf(ctx).x.Request.Target
	if target == "" {
		target = "/"
	}
	stack[0] = give(mod, stack[0], stack[1], target)
}

func setURI(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	s.mustNotHavePassed("URI")
	if uint32(stack[1]) > maxTargetBytes {
		trap("a URI can't have more than %d bytes", maxTargetBytes)
	}
	target := s.text(view(mod, stack[0], stack[1]))
	if target == "" {
		target = "/"
	}
	if !exchange.ValidTarget(s.x.Request.Method, target) {
		trap("%q can't be a request's URI: it is an encoded path and query", target)
	}
	s.x.Request.Target = target
}

func getProtocolVersion(ctx context.Context, mod api.Module, stack []uint64) {
	stack[0] = give(mod, stack[0], stack[1], sessionOf(ctx).x.Request.Version.String())
}

// getSourceAddr gives the client's address and port. Behind a trusted proxy it
// is the client that the proxy names, whose port nobody knows: 0.
func getSourceAddr(ctx context.Context, mod api.Module, stack []uint64) {
	s := sessionOf(ctx)
	var source netip.AddrPort
	if s.x.Conn != nil {
		source = s.x.Conn.Remote
	}
	if s.x.ClientIP.IsValid() && s.x.ClientIP.Unmap() != source.Addr().Unmap() {
		source = netip.AddrPortFrom(s.x.ClientIP, 0)
	}
	if !source.IsValid() {
		stack[0] = 0
		return
	}
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	text := source.AppendTo(s.guest.address[:0])
	if len(text) <= int(uint32(stack[1])) {
		copy(view(mod, stack[0], uint64(len(text))), text)
	}
	stack[0] = uint64(len(text))
}
