package exchange

import "time"

// Cause names why an exchange could not be completed, for logs, metrics and
// policies. It never names internals and is safe to show.
type Cause string

// Causes of failure, with the status that the client gets unless a policy
// answers.
const (
	CauseRefused     Cause = "refused"      // 502: the upstream could not be reached
	CauseReset       Cause = "reset"        // 502: it broke off before a whole response head
	CauseProtocol    Cause = "protocol"     // 502: what it sent is not HTTP
	CauseTimeout     Cause = "timeout"      // 504: a deadline of upstream, stage or tier passed
	CauseNoEndpoint  Cause = "no_endpoint"  // 503: no endpoint is healthy
	CauseCircuitOpen Cause = "circuit_open" // 503: the breaker is open
	CauseOverload    Cause = "overload"     // 503: a bulkhead, pool or queue is full
	CauseTierDown    Cause = "tier_down"    // 503: no host of the service tier can be reached
	CausePolicy      Cause = "policy"       // 500 or the failure rule's: a policy failed
	CauseNoRoute     Cause = "no_route"     // 404: no upstream was chosen and none is the default
	CauseBody        Cause = "body"         // 413: a body is larger than a stage allows
	CauseClient      Cause = "client"       // 400 or 499: the client broke off or sent a broken body
	CauseInternal    Cause = "internal"     // 500: a bug of the host
)

// Failure says why the host itself answers an exchange. Text and Err are for
// the log; the client sees Status, RetryAfter and the status's standard words.
type Failure struct {
	Cause      Cause
	Status     int           // 400 to 599
	RetryAfter time.Duration // 0: no Retry-After field; rounded up to whole seconds
	Tier       string        // where it happened: "edge", "service" or "" (before or between)
	Stage      string        // the stage, if one failed
	Policy     string        // the policy, if one failed
	Err        error         // the internal cause, never shown to a client
}

func (f *Failure) Error() string {
	s := string(f.Cause)
	if f.Policy != "" {
		s += " in policy " + f.Policy
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the internal cause.
func (f *Failure) Unwrap() error { return f.Err }

// Fail makes the host's own clean error the response: f's status, its standard
// words as text, and Retry-After; a gRPC call gets its status in the way of gRPC.
func (x *Exchange) Fail(f *Failure) {
	x.Failure = f
	x.AnsweredBy = ""
	if b := x.Response.Body; b != nil {
		b.Close()
	}
	if t := x.Response.Tunnel; t != nil {
		t.Close()
	}
	x.Response = errorResponse(&x.Request, f)
}
