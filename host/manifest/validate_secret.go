package manifest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// secretCapability is the capability module by which a policy is told its
// secrets.
const secretCapability = "ergo_secret"

// Bounds of a policy's secrets.
const (
	maxSecrets     = 64
	maxSecretBytes = 64 << 10
)

// secrets checks that a policy can be told its secrets.
func (v *validator) secrets(path string, p Policy) {
	if len(p.Secrets) > maxSecrets {
		v.problem(path, fmt.Sprintf("has %d secrets", len(p.Secrets)), fmt.Sprintf("at most %d", maxSecrets))
	}
	if len(p.Secrets) > 0 && !slices.Contains(p.Grants, secretCapability) {
		v.problem(path, "has secrets that the policy cannot ask for", "add "+secretCapability+" to its grants, or remove them")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Secrets)) {
		at := place.Key(path, name)
		v.name(at, name)
		switch size := len(p.Secrets[name].Reveal()); {
		case size == 0:
			v.problem(at, "is empty", `write a reference such as "env:NAME" or "file:path"`)
		case size > maxSecretBytes:
			v.problem(at, "is too long", fmt.Sprintf("at most %d bytes", maxSecretBytes))
		}
	}
}
