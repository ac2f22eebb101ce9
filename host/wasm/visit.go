package wasm

import "github.com/ergoproxy/ergo/host/exchange"

// Visit is one exchange's stay at a policy, from the request to the response, whichever
// instances it is with: what an ABI has of it for capabilities.
type Visit interface {
	// Respond makes r the response of the phase at hand: the answer, while the request is
	// with the guest; then the guest has to say that it answers. It returns the header
	// that the guest's own functions change from then on. r.Body is the exchange's to close.
	Respond(r *exchange.Response) *exchange.Header
	// Await has the request phase begin anew, with another instance, once wait has
	// returned; until then no instance is lent. It reports false in other phases.
	Await(wait func()) bool
	// Keep has k end with the visit. Kept returns it; nil: nothing was kept.
	Keep(k Ender)
	Kept() Ender
}

// Ender is what a capability keeps of a visit.
type Ender interface {
	// Fail drops what a phase began that failed. End follows.
	Fail()
	// End lets go of everything. Nobody uses it any more.
	End()
}
