//go:build !linux

package child

import (
	"os"
	"os/exec"

	"github.com/ergoproxy/ergo/host/manifest"
)

// enclose does nothing: there is no such thing here.
func enclose() {}

// isolate does nothing: a process notices the end of its host by its stream's.
func isolate(*exec.Cmd) {}

// limit does nothing: here processes are not limited.
func limit(int, *manifest.Process) error { return nil }

// killGroup ends a process. It may be gone already.
func killGroup(p *os.Process) { _ = p.Kill() }

// Memory is not known.
func (p *Process) Memory() int64 { return 0 }
