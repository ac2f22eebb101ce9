package capability

import (
	"context"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// Secret is the module ergo_secret: a guest is told a secret that the manifest
// names for it.
//
//	get(name, name_len, buf, buf_limit) -> len     -1 if the policy has none of that name
//
// It writes only what fits buf_limit and returns the length in either case. A
// policy has the secrets of [policy.NAME.secrets] and no others: at most 64, of at
// most 64 KiB each. They do not change while the policy runs: a swap that finds
// another value starts it anew. What a guest was told stays in its memory, so
// where a key is only to be used, not known, a capability that uses it by name is
// the better one.
func Secret() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_secret", Functions: []wasm.HostFunction{
		function("get", 4, one, getSecret),
	}}
}

func getSecret(ctx context.Context, mod api.Module, stack []uint64) {
	name := read(mod, stack[0], stack[1])
	secret, found := granted(wasm.CallOf(ctx)).Secrets[string(name)]
	if !found {
		stack[0] = none
		return
	}
	stack[0] = give(mod, stack[2], stack[3], secret.Reveal())
}
