//go:build !linux

package main

import (
	"os"
	"os/exec"
)

// The harness refuses to run where there is no /proc; these keep it compiling there.

func isolate(*exec.Cmd) {}

func terminate(p *os.Process) { _ = p.Kill() }

func killGroup(p *os.Process) { _ = p.Kill() }

func raiseFileLimit(int) error { return nil }
