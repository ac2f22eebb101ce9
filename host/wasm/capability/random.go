package capability

import (
	"context"
	"crypto/rand"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// Random is the module ergo_random: randomness that nobody can foretell, from the
// system, drawn anew for each call.
//
//	get(buf, buf_len)          fills all of it
//
// Whoever is granted it says that chance matters to it. Instances are clones of one
// that has started, and what that drew they share; so such a guest either exports
// ergo_reseed, () -> (), where a clone draws anew what it keeps, or each instance of
// it starts for itself. ergo_reseed can call nothing that acts on an exchange.
func Random() wasm.HostModule {
	return wasm.HostModule{Name: wasm.Random, Functions: []wasm.HostFunction{
		function("get", 2, nil, getRandom),
	}}
}

// drawn is how much is drawn between two looks at the deadline: some 50 us.
const drawn = 64 << 10

func getRandom(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	for b := read(mod, stack[0], stack[1]); len(b) > 0; {
		call.Check()
		n := min(len(b), drawn)
		_, _ = rand.Read(b[:n]) // it does not fail
		b = b[n:]
	}
}
