package policy

import "github.com/ergoproxy/ergo/host/manifest"

// Artifact is a policy's bytes and what it says of itself. It is immutable.
type Artifact struct {
	Digest string // "sha256:<hex>" of Module
	Module []byte // the Wasm module
	File   manifest.PolicyFile
	Source string // where it came from, for messages
}
