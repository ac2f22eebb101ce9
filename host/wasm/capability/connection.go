package capability

import (
	"cmp"
	"context"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// Connection is the module ergo_connection: a guest is told how the client came, which
// fields of the request may say, and anybody may write into them.
//
//	scheme(buf, buf_limit) -> len            "https" or "http"
//
// It writes only what fits buf_limit and returns the length in either case. Behind trusted
// proxies it is what the one says that the client met, in the fields that the manifest
// believes; else what the connection to this host is. It is the same in both phases, in
// both tiers, and whatever policies write.
func Connection() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_connection", Functions: []wasm.HostFunction{
		function("scheme", 2, one, getScheme),
	}}
}

func getScheme(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	stack[0] = give(mod, stack[0], stack[1], cmp.Or(x.ClientScheme, x.Request.Scheme))
}
