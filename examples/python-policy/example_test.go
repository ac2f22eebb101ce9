// Package pythonpolicy tests that the example does what its README.md says.
package pythonpolicy

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestPythonTour(t *testing.T) {
	folder := t.TempDir()
	pip := filepath.Join(folder, "bin", "pip")
	for _, command := range [][]string{
		{"python3", "-m", "venv", folder},
		{pip, "download", "--quiet", "--no-deps", "--dest", folder, "typing-extensions"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("the tour needs Python and a way to its packages: %v: %v\n%s", command, err, out)
		}
	}
	hosttest.Tour{
		Root:  "../..",
		Page:  "examples/python-policy/README.md",
		Files: []string{"examples/python-policy", "sdk/plugin/python"},
		Tools: []string{"curl", "openssl", "python3"},
	}.Run(t)
}
