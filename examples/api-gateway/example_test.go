// Package apigateway tests that the example does what its README.md says.
package apigateway

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestTour(t *testing.T) {
	hosttest.Tour{
		Root:  "../..",
		Page:  "examples/api-gateway/README.md",
		Files: []string{"examples/api-gateway", "policies"},
		Tools: []string{"curl", "openssl", "sed", "grep", "sort", "cut", "tr", "seq", "wc"},
	}.Run(t)
}
