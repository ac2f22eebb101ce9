package policies

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
)

// BenchmarkForward measures a whole visit of each shipped policy, both phases,
// with the first case that it lets pass.
func BenchmarkForward(b *testing.B) {
	for _, name := range cases.Folders(b) {
		b.Run(name, func(b *testing.B) { newSuite(b, name).Forward(b) })
	}
}
