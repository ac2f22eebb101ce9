// Package fieldencryption tests that the example does what its README.md says.
package fieldencryption

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestTour(t *testing.T) {
	hosttest.Tour{
		Root:  "../..",
		Page:  "examples/field-encryption/README.md",
		Files: []string{"examples/field-encryption", "policies"},
		Tools: []string{"curl", "openssl", "sed", "grep", "uniq", "wc"},
	}.Run(t)
}
