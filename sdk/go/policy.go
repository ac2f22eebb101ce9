package guest

// Flow is what happens to an exchange after a policy's request phase: the ABI's
// ctx_next.
type Flow uint64

const (
	// Answer says that the policy has answered: only the policies already passed
	// see the response.
	Answer Flow = 0
	// Continue passes the request on to the next policy.
	Continue Flow = 1
)

// ContinueWith passes the request on; context comes back in the response phase.
func ContinueWith(context uint32) Flow {
	return Flow(context)<<32 | Continue
}

// Policy holds the phases of a policy; a nil one does nothing.
//
// An instance carries one exchange at a time. Keep what belongs to an exchange in
// local variables or in [ContinueWith]: an instance of a policy that declares
// itself stateless may carry other exchanges between the two phases.
type Policy struct {
	// Request decides about a request.
	Request func(Request) Flow
	// Response sees the response to a request that this policy let pass. isError
	// says that nothing behind the policy could answer.
	Response func(response Response, context uint32, isError bool)
}

// Features are optional parts of the ABI.
type Features uint32

const (
	// BufferRequest keeps the request body readable for those who come later.
	BufferRequest Features = 1 << iota
	// BufferResponse holds the response back until the response phase is over.
	BufferResponse
	// Trailers can be read and set.
	Trailers
)

// EnableFeatures asks for features and returns those that the host has now. In an
// init function it is for all exchanges, in a phase for the current one.
func EnableFeatures(features Features) Features {
	return Features(enableFeatures(uint32(features)))
}
