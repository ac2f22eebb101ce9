// Package proctree reads what a process and all its descendants use from Linux's /proc.
package proctree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: user space sees 100 a second on every Linux that Go runs on.
const tick = time.Second / 100

// Usage is what a process tree has used so far.
type Usage struct {
	CPU           time.Duration
	ResidentBytes int64
	Processes     int
	Switches      int64 // context switches of the threads there are
	ReadBytes     int64 // by read(2) and its kin; 0 where the kernel does not tell. What is spliced is not read.
}

// processStat is the part of one /proc/PID/stat that we read (proc_pid_stat(5)).
type processStat struct {
	pid, parent   int
	cpu           time.Duration // own, and of the children that it has waited for
	residentPages int64
}

// parseStat reads one line of /proc/PID/stat. The second field, the command in parentheses, may itself hold
// spaces and parentheses, so the fields are counted from the last one.
func parseStat(line string) (processStat, error) {
	var p processStat
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return p, fmt.Errorf("stat line %q has no command", line)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil {
		return p, fmt.Errorf("stat line %q: process id: %w", line, err)
	}
	const state = 3 // number of the first field after the command
	fields := strings.Fields(line[end+1:])
	const parent, utime, cstime, rss = 4 - state, 14 - state, 17 - state, 24 - state
	if len(fields) <= rss {
		return p, fmt.Errorf("stat line of process %d has %d fields after its command, want more than %d", pid, len(fields), rss)
	}
	p.pid = pid
	if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return p, fmt.Errorf("stat line of process %d: parent: %w", pid, err)
	}
	for i := utime; i <= cstime; i++ {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return p, fmt.Errorf("stat line of process %d: time: %w", pid, err)
		}
		p.cpu += time.Duration(ticks) * tick
	}
	if p.residentPages, err = strconv.ParseInt(fields[rss], 10, 64); err != nil {
		return p, fmt.Errorf("stat line of process %d: resident pages: %w", pid, err)
	}
	return p, nil
}

// Read adds up the process root and all its descendants, as proc (normally /proc) shows them. A worker
// that ends and is waited for stays counted through its parent, so the CPU time never falls.
func Read(proc fs.FS, root int) (Usage, error) {
	children, own, err := readProcesses(proc)
	if err != nil {
		return Usage{}, err
	}
	if _, found := own[root]; !found {
		return Usage{}, fmt.Errorf("process %d is gone", root)
	}
	var sum Usage
	pageBytes := int64(os.Getpagesize())
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		p := own[queue[0]]
		sum.CPU += p.cpu
		sum.ResidentBytes += p.residentPages * pageBytes
		sum.Processes++
		sum.Switches += contextSwitches(proc, p.pid)
		sum.ReadBytes += counters(proc, strconv.Itoa(p.pid)+"/io", "rchar")
		queue = append(queue, children[p.pid]...)
	}
	return sum, nil
}

// readProcesses reads every process there is: children by parent, and each one by its id. Those that end
// meanwhile are left out.
func readProcesses(proc fs.FS) (children map[int][]int, own map[int]processStat, err error) {
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil, nil, err
	}
	children, own = map[int][]int{}, map[int]processStat{}
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		line, err := fs.ReadFile(proc, entry.Name()+"/stat")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		p, err := parseStat(string(line))
		if err != nil {
			return nil, nil, err
		}
		own[p.pid] = p
		children[p.parent] = append(children[p.parent], p.pid)
	}
	return children, own, nil
}

// contextSwitches adds up those of all threads of a process. A thread that ends takes its own along.
func contextSwitches(proc fs.FS, pid int) (sum int64) {
	tasks := strconv.Itoa(pid) + "/task"
	threads, err := fs.ReadDir(proc, tasks)
	if err != nil {
		return 0 // it has ended
	}
	for _, thread := range threads {
		sum += counters(proc, tasks+"/"+thread.Name()+"/status", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
	}
	return sum
}

// counters adds up the named lines of a file of "name: number" lines; what cannot be read counts nothing.
func counters(proc fs.FS, path string, names ...string) (sum int64) {
	text, err := fs.ReadFile(proc, path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains(names, name) {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			sum += n
		}
	}
	return sum
}
