package child

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ergoproxy/ergo/host/manifest"
)

// enclose ties the calling goroutine to its thread for good, and has whatever is started from it
// gain no privileges (prctl(2), PR_SET_NO_NEW_PRIVS). The thread ends with the goroutine, and with it
// what it has started (isolate).
func enclose() {
	runtime.LockOSThread()
	// Before Linux 3.5 there is no such thing.
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// isolate has a command run in a process group of its own, and end when the thread that
// started it does, which it does with the host.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit bounds what a process and each that it starts can use (prlimit(2)).
func limit(pid int, l *manifest.Process) error {
	for _, r := range [...]struct {
		name     string
		resource int
		max      uint64
	}{
		{"memory", unix.RLIMIT_AS, uint64(l.Memory)},
		{"files", unix.RLIMIT_NOFILE, uint64(l.Files)},
		{"tasks", unix.RLIMIT_NPROC, uint64(l.Tasks)},
		{"cpu", unix.RLIMIT_CPU, uint64(l.CPU.D().Seconds())},
		{"core", unix.RLIMIT_CORE, 0},
	} {
		if r.max == 0 && r.name != "core" {
			continue
		}
		if err := unix.Prlimit(pid, r.resource, &unix.Rlimit{Cur: r.max, Max: r.max}, nil); err != nil {
			return fmt.Errorf("limit %s of process %d: %w", r.name, pid, err)
		}
	}
	return nil
}

// killGroup ends a process and its group. The process may be gone already.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// Memory returns the bytes that the process has in memory.
func (p *Process) Memory() int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/statm") // proc_pid_statm(5): in pages
	if err != nil {
		return 0
	}
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
