package guest

// Random fills b with randomness that nobody can foretell, drawn from the host for
// this call. It needs the grant ergo_random.
//
// A policy's instances are clones of one that has started. What that drew, they
// share: keys and nonces that a configure function makes, the state of a generator
// of its own, and what Go's runtime drew for the order of maps and for math/rand,
// which nobody can draw anew. So a policy that is granted ergo_random has plain
// instances, each started for itself, unless it imports package reseed.
func Random(b []byte) { drawRandom(b) }
