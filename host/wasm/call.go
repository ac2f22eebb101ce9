package wasm

import (
	"context"
	"errors"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Call is the context under which a guest runs. There is one for each instance,
// used for all its calls one after another, so that a call makes nothing new:
// host functions find what they act on by CallOf instead of context.Value.
type Call struct {
	// Exchange is the exchange at hand; nil while the guest starts.
	Exchange *exchange.Exchange
	// Visit is the exchange's stay at the policy; nil if there is no exchange, or the
	// ABI has none.
	Visit Visit
	// Guest is what the ABI keeps of the instance.
	Guest any
	// Granted is what the capabilities act on beside the exchange; what it is,
	// they and whoever starts the instance know.
	Granted any
	// Log takes what the guest says.
	Log *Log

	budget  budget
	failure error // by Fail
	names   intern
	kept    []Keeper
	values  context.Context // only while the instance is made
}

var _ context.Context = (*Call)(nil)

// CallOf returns the call that a host function was given as its context.
func CallOf(ctx context.Context) *Call { return ctx.(*Call) }

// ErrNoExchange is what a host function traps with that acts on an exchange
// and is called while the guest starts or does work of its own.
var ErrNoExchange = errors.New("there is no exchange at hand: the guest starts, or does work of its own")

// MustExchange returns the exchange at hand; without one it traps the guest.
func (c *Call) MustExchange() *exchange.Exchange {
	if c.Exchange == nil {
		panic(ErrNoExchange)
	}
	return c.Exchange
}

// String returns bytes of the guest's memory as a string of the host's. Short
// ones that come again and again are made once.
func (c *Call) String(b []byte) string { return c.names.string(b) }

// What a guest is trapped with that has used up what a call may.
var (
	ErrTime  = errors.New("the call's time is up")
	ErrTicks = errors.New("the call's ticks are used up")
)

// Pause stops the guest's clock while the host waits for the exchange's own
// bytes; Resume starts it again. A guest whose time is up is trapped here.
func (c *Call) Pause() { c.budget.pause() }

// Resume starts the clock again that Pause stopped.
func (c *Call) Resume() { c.budget.resume() }

// Check traps a guest whose time is up. Host functions whose work grows with
// what they are given call it.
func (c *Call) Check() { c.budget.check() }

// Fail has the call under way fail with err once the guest has returned, whatever
// it returns: what it needs is not available. The guest is not to blame and not
// trapped, because a trap would cost its instance with each exchange while, say, a
// server is down.
func (c *Call) Fail(err error) { c.failure = err }

// Failed returns what Fail was given during the call under way.
func (c *Call) Failed() error { return c.failure }

// Deadline follows context.Context. The deadline moves with every Pause, so
// none is told.
func (c *Call) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done follows context.Context. A guest is not stopped from outside: it comes to
// the host and is told.
func (c *Call) Done() <-chan struct{} { return nil }

// Err follows context.Context.
func (c *Call) Err() error {
	if c.budget.expired {
		return context.DeadlineExceeded
	}
	return nil
}

// Value follows context.Context; wazero asks for its own keys only.
func (c *Call) Value(key any) any {
	if c.values == nil {
		return nil
	}
	return c.values.Value(key)
}
