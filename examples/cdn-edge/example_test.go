// Package cdnedge tests that the example does what its README.md says.
package cdnedge

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestTour(t *testing.T) {
	hosttest.Tour{
		Root:  "../..",
		Page:  "examples/cdn-edge/README.md",
		Files: []string{"examples/cdn-edge", "policies"},
		Tools: []string{"curl", "grep", "head", "wc", "xargs", "seq"},
	}.Run(t)
}
