package manifest

// PolicyFile is one policy.toml: what an artifact says of itself.
type PolicyFile struct {
	Name         string         `toml:"name"`
	Version      string         `toml:"version"` // semantic version
	Family       string         `toml:"family"`  // auth, routing, traffic, transform, caching, encryption or observe
	Summary      string         `toml:"summary"`
	License      string         `toml:"license"` // SPDX expression
	ABI          string         `toml:"abi"`     // "http-wasm"
	Module       string         `toml:"module"`  // file beside policy.toml; default "policy.wasm"
	Capabilities []string       `toml:"capabilities"`
	Needs        PolicyNeeds    `toml:"needs"`
	Config       map[string]any `toml:"config"`  // JSON Schema 2020-12 of a use's configuration; nil: any
	Example      map[string]any `toml:"example"` // a valid configuration
}

// PolicyNeeds is what a policy asks of the host in each direction.
type PolicyNeeds struct {
	RequestBody  BodyNeed `toml:"request_body"` // default: what the module's imports suggest
	ResponseBody BodyNeed `toml:"response_body"`
	// Stateless: an instance keeps nothing between the request and the response
	// phase, so it is released while the upstream works.
	Stateless bool `toml:"stateless"`
}

// BodyMode is how much of a body a policy asks for.
type BodyMode uint8

// Body modes, from nothing to everything.
const (
	BodyUnset  BodyMode = iota // not said
	BodyNone                   // never looks at it
	BodyPeek                   // the first Max bytes
	BodyBuffer                 // the whole of it, at most Max bytes
	BodyStream                 // piece by piece as it passes
)

// BodyNeed is a mode with its bound. In TOML: "none", "peek(4KiB)",
// "buffer(1MiB)" or "stream".
type BodyNeed struct {
	Mode BodyMode
	Max  Size // of BodyPeek and BodyBuffer
}
