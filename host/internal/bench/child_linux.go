package main

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate gives cmd a process group of its own, so that a Ctrl-C on the terminal reaches the harness alone and
// the whole group can be ended, and asks the kernel to end it should the harness itself be killed.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func terminate(p *os.Process) {
	_ = p.Signal(syscall.SIGTERM) // an error means that it has ended already
}

// killGroup ends what is left of the process group that isolate made.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // an error means that nothing is left
}
