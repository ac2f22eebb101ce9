package httpwasm

import (
	"context"
	"log/slog"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// enableFeatures answers with all features that are enabled then. While the
// guest starts it holds for every exchange, else for the one at hand. To hold a
// response whose head the guest sees already is too late.
func enableFeatures(ctx context.Context, _ api.Module, stack []uint64) {
	g := guestOf(ctx)
	asked := feature(uint32(stack[0])) & g.policy.supported
	switch s := g.session; {
	case s == nil:
		g.features |= asked
		stack[0] = uint64(g.features)
	case s.phase != requestPhase:
		s.features |= asked & trailers
		stack[0] = uint64(s.features)
	default:
		s.features |= asked
		stack[0] = uint64(s.features)
	}
}

func getConfig(ctx context.Context, mod api.Module, stack []uint64) {
	stack[0] = give(mod, stack[0], stack[1], guestOf(ctx).policy.config)
}

// levelOf turns the ABI's level into slog's; ok is false for "none" and what
// does not exist.
func levelOf(level uint64) (slog.Level, bool) {
	l := int32(uint32(level))
	return slog.Level(l * 4), l >= -1 && l <= 2
}

// logMessage must not trap, so what can't be read is not logged.
func logMessage(ctx context.Context, mod api.Module, stack []uint64) {
	level, ok := levelOf(stack[0])
	if !ok {
		return
	}
	if message, ok := mod.Memory().Read(uint32(stack[1]), uint32(stack[2])); ok {
		call := wasm.CallOf(ctx)
		call.Log.Emit(call, level, message)
	}
}

func logEnabled(ctx context.Context, _ api.Module, stack []uint64) {
	level, ok := levelOf(stack[0])
	stack[0] = 0
	if ok && wasm.CallOf(ctx).Log.Enabled(level) {
		stack[0] = 1
	}
}
