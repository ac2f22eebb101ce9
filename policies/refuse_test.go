package policies

import (
	"path/filepath"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
)

// TestRefusedWithPlace: `ergo check` refuses each configuration that a policy's cases call
// wrong, and says where in the manifest it stands.
func TestRefusedWithPlace(t *testing.T) {
	data, err := filepath.Abs(filepath.Join("target", "host"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cases.Folders(t) {
		t.Run(name, func(t *testing.T) { newSuite(t, name).RefusedWithPlace(t, data) })
	}
}
