// Package policy says what a policy is: the one contract for every kind, Wasm
// module or plugin process.
//
// The three parts: a Loader turns an artifact and a use's configuration into a
// Policy, once per use and generation, off the request path. A Policy lends
// instances. An Instance carries one exchange at a time through the phases that
// its Policy implements.
//
// Phases are optional interfaces of the Policy (RequestHead, RequestBody,
// ResponseHead, ResponseBody, Trailers, Failure, Done). Whoever walks policies
// asserts them once, when the generation is built.
package policy

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Policy is one unit of behaviour with one configuration. It is safe for
// concurrent use.
type Policy interface {
	// Needs says what the policy asks of the host; constant over its life.
	Needs() Needs
	// Acquire lends an instance for an exchange. It waits at most the policy's
	// bound for a free one and then returns an *Error of kind Overload. Every
	// instance is given back with Release exactly once, whatever its phases
	// returned: as soon as the policy has no phase to come in the exchange, or,
	// if it streams a body (BodyStream), after the last byte. Bodies that it put
	// into the exchange must outlive it.
	Acquire(x *exchange.Exchange) (Instance, error)
	Release(Instance)
	// Stats are read at any time, for telemetry.
	Stats() Stats
	// Close ends the policy once all instances are back. It is called once.
	Close(ctx context.Context) error
}

// Instance is the state of one policy for one exchange; what it is only its
// Policy knows.
type Instance any

// Verdict is what a phase decides.
type Verdict uint8

const (
	// Continue passes the exchange on.
	Continue Verdict = iota
	// Answer turns the exchange round: Exchange.Response is the answer. Only
	// the policies already passed see the response. It is meaningful in the
	// request phases and in Failure.
	Answer
)

// The phases. Each runs on the goroutine that carries the exchange, and may
// block only where the exchange's own bytes are awaited. An error is an *Error,
// or else counts as kind Trap. Two things are not the policy's failure: a body
// over its bound, exchange.ErrBodyTooLarge, and a body whose sender broke off,
// *exchange.BodyError; either may be wrapped.
type (
	// RequestHead sees the request before its body. A policy of mode
	// BodyStream reads or replaces Request.Body here.
	RequestHead interface {
		OnRequestHead(Instance, *exchange.Exchange) (Verdict, error)
	}
	// RequestBody sees the body that BodyPeek or BodyBuffer asked for:
	// Request.Body is then an *exchange.Buffered.
	RequestBody interface {
		OnRequestBody(Instance, *exchange.Exchange) (Verdict, error)
	}
	// ResponseHead sees the response before its body, from last policy to first.
	ResponseHead interface {
		OnResponseHead(Instance, *exchange.Exchange) error
	}
	// ResponseBody is to the response what RequestBody is to the request.
	ResponseBody interface {
		OnResponseBody(Instance, *exchange.Exchange) error
	}
	// BodyBound is asked after each head, and before the body is touched, of a policy of
	// mode BodyPeek or BodyBuffer: how many bytes of the body that follows it wants in
	// this exchange. They are never more than its Needs allow. With 0 it has no body phase.
	BodyBound interface {
		RequestBound(Instance) int64
		ResponseBound(Instance) int64
	}
	// Trailers sees the response's trailers after its body and before they are sent.
	Trailers interface {
		OnTrailers(Instance, *exchange.Exchange) error
	}
	// Failure sees an exchange that could not be completed: Exchange.Failure says
	// why and Response is the host's clean error. With Answer the policy has
	// replaced Response, and policies before it see an ordinary response. A
	// policy without Failure sees the error in ResponseHead.
	Failure interface {
		OnFailure(Instance, *exchange.Exchange) (Verdict, error)
	}
	// BodyFault is asked of a policy of mode BodyStream, before the response phases
	// and after the last byte: the error by which it failed on a body that was on its
	// way, and broke off; nil if it did not. Its rule applies as far as it still can.
	BodyFault interface {
		BodyFault(Instance) error
	}
	// Done sees the exchange after its last byte, for logs and metrics.
	Done interface {
		OnDone(Instance, *exchange.Exchange)
	}
)

// KeySource is a policy that keys of the manifest can come from.
type KeySource interface {
	// Keys returns the versions of a key, the primary first. The caller zeroes their
	// material. It is ErrNoKeys if the policy is no source of keys after all.
	Keys(ctx context.Context, name string) ([]KeyVersion, error)
}

// KeyVersion is one version of a key, in the encoding that the manifest says.
type KeyVersion struct {
	ID       string
	Material []byte
}

// ErrNoKeys says that a policy is no source of keys.
var ErrNoKeys = errors.New("the policy is no source of keys")

// Needs is what a policy asks of the host.
type Needs struct {
	RequestBody  manifest.BodyNeed // Mode is never BodyUnset
	ResponseBody manifest.BodyNeed
}

// Stats is the state of a policy's instances.
type Stats struct {
	Instances   int    `json:"instances"`    // alive
	Busy        int    `json:"busy"`         // lent
	MemoryBytes int64  `json:"memory_bytes"` // of the system's, held by all instances
	Created     uint64 `json:"created"`      // since the policy was loaded
	Discarded   uint64 `json:"discarded"`    // thrown away after a trap, a deadline or for their size
	Waits       uint64 `json:"waits"`        // acquisitions that had to wait
	Overloads   uint64 `json:"overloads"`    // acquisitions that waited in vain
	LinesLost   uint64 `json:"lines_lost"`   // log lines beyond the policy's limit
	// Down are processes that ended and are started again: the first of them after Retry.
	Down  int           `json:"down,omitempty"`
	Retry time.Duration `json:"retry,omitempty"`
	// BackgroundFailures count traps and timeouts in work that no exchange waited for,
	// such as timers.
	BackgroundFailures uint64 `json:"background_failures"`
	Ticks              uint64 `json:"ticks"`           // metered cost of all calls: about an instruction each; 0 if it is not metered
	Plain              string `json:"plain,omitempty"` // why instances start one by one; "" if they are clones of the first
}

// Loader makes policies of one kind.
type Loader interface {
	// Load compiles, starts and configures a policy and has it prove that it can
	// take an exchange. It returns an *Error of kind Load or Config.
	Load(ctx context.Context, spec Spec) (Policy, error)
}

// Spec is what a policy is made of.
type Spec struct {
	Name     string // of the policy in the manifest
	Artifact *Artifact
	Config   []byte                     // JSON, valid by the artifact's schema, references resolved; may hold secrets
	Settings manifest.Policy            // what the manifest says of the policy
	Keys     map[string]keyring.Granted // that the manifest grants it
	Granted  *Granted                   // what its grants come to; never nil
	Log      *slog.Logger               // carries policy and version
}

// Kind is the kind of a policy's failure; each has its own failure rule.
type Kind uint8

// Kinds of failure.
const (
	Load     Kind = iota // not found, not verified, not compiled, grant missing
	Config               // its configuration was refused
	Trap                 // it broke: trap, exit, protocol error
	Timeout              // it did not return in time
	Overload             // no instance, or nothing else that it needs, was there in time
)

var kindNames = [...]string{"load", "config", "trap", "timeout", "overload"}

// String returns the kind's name in manifest and metrics.
func (k Kind) String() string { return kindNames[k] }

// Error is the failure of one policy.
type Error struct {
	Kind   Kind
	Policy string // name in the manifest
	Err    error  // internal; never shown to a client
	// Secondary says that another exchange's failure took this one's state along. The
	// rule applies; but as that failure was counted, this one says nothing more of
	// the policy's health.
	Secondary bool
}

func (e *Error) Error() string {
	return "policy " + e.Policy + ": " + e.Kind.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
