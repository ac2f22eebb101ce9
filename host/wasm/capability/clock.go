package capability

import (
	"context"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Time is where ergo_clock reads the time.
type Time struct {
	Wall      func() time.Time
	Monotonic func() time.Duration // on the clock of exchanges
}

// SystemTime is the machine's.
func SystemTime() Time { return Time{time.Now, exchange.Clock} }

// Clock is the module ergo_clock: a guest knows what time it is, and how much of
// it is left. All results are i64, in nanoseconds.
//
//	wall() -> time             since 1970-01-01T00:00:00Z; it may be set, so it is no measure of how long something took
//	monotonic() -> time        since some moment; it never goes back
//	began() -> time            when the request's head was complete, on the monotonic clock
//	remaining() -> duration    until the exchange's deadline; 0 once it has passed, 2^63-1 if there is none
//
// The last two act on an exchange. The deadline is that of the tier or stage that
// the policy stands in, until the response's head has been sent; what the policy
// may use of it is bounded by its own limits too.
func Clock(t Time) wasm.HostModule {
	reading := func(name string, read api.GoModuleFunc) wasm.HostFunction {
		return wasm.HostFunction{Name: name, Results: []api.ValueType{wasm.I64}, Call: read}
	}
	return wasm.HostModule{Name: "ergo_clock", Functions: []wasm.HostFunction{
		reading("wall", func(_ context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(t.Wall().UnixNano())
		}),
		reading("monotonic", func(_ context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(t.Monotonic())
		}),
		reading("began", func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(wasm.CallOf(ctx).MustExchange().Began)
		}),
		reading("remaining", func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(remaining(wasm.CallOf(ctx).MustExchange(), t.Monotonic()))
		}),
	}}
}

func remaining(x *exchange.Exchange, now time.Duration) time.Duration {
	until := x.Life().Until()
	if until == 0 {
		return math.MaxInt64
	}
	return max(until-now, 0)
}
