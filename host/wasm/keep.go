package wasm

import "github.com/ergoproxy/ergo/host/exchange"

// Keeper is what a capability keeps of a guest from one call to the next: what the
// guest has opened.
type Keeper interface {
	// Leave lets go of what was opened for an exchange; nil: of everything.
	Leave(x *exchange.Exchange)
}

// Keep has k let go when Leave is called, and when the instance ends.
func (c *Call) Keep(k Keeper) { c.kept = append(c.kept, k) }

// Kept returns what a capability keeps of the guest.
func Kept[K Keeper](c *Call) (kept K, ok bool) {
	for _, k := range c.kept {
		if kept, ok = k.(K); ok {
			return kept, true
		}
	}
	return kept, false
}

// Leave ends what the guest has opened for an exchange. Whoever has it work for
// exchanges calls it when one is over, or no longer the guest's.
func (c *Call) Leave(x *exchange.Exchange) {
	for _, k := range c.kept {
		k.Leave(x)
	}
}
