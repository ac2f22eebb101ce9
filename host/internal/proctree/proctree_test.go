package proctree

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// statLine is a /proc/PID/stat as the kernel writes it.
func statLine(pid int, command string, parent, utime, stime, cutime, cstime, pages int) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 900 0 0 0 %d %d %d %d 20 0 2 0 8212 17887232 %d 18446744073709551615 1 1 0\n",
		pid, command, parent, utime, stime, cutime, cstime, pages)
}

func TestParseStat(t *testing.T) {
	for _, command := range []string{"nginx", "a b", "a) S 7 (b", "", "((("} {
		got, err := parseStat(statLine(42, command, 7, 100, 20, 3, 1, 250))
		want := processStat{pid: 42, parent: 7, cpu: 1240 * time.Millisecond, residentPages: 250}
		if err != nil || got != want {
			t.Errorf("command %q: %+v, %v, want %+v", command, got, err, want)
		}
	}
}

func TestParseStatRefuses(t *testing.T) {
	whole := statLine(42, "nginx", 7, 1, 2, 3, 4, 5)
	for _, line := range []string{
		"",
		"42 nginx S 7",
		"42 (nginx S 7",
		"42 )nginx( S 7",
		"x" + whole,
		whole[:40],
		strings.Replace(whole, " S 7 ", " S x ", 1),
		strings.Replace(whole, " 1 2 3 4 ", " 1 2 x 4 ", 1),
		strings.Replace(whole, " 5 1844", " x 1844", 1),
	} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
}

func TestReadAddsUpDescendantsOnly(t *testing.T) {
	file := func(line string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(line)} }
	proc := fstest.MapFS{
		"10/stat":   file(statLine(10, "master", 1, 1, 1, 0, 0, 100)),
		"11/stat":   file(statLine(11, "worker", 10, 10, 10, 0, 0, 200)),
		"12/stat":   file(statLine(12, "worker", 10, 5, 5, 2, 1, 300)),
		"13/stat":   file(statLine(13, "helper", 12, 0, 1, 0, 0, 400)),
		"20/stat":   file(statLine(20, "stranger", 1, 1000, 1000, 0, 0, 1000)),
		"30/status": file("a process that ended after it was listed"),
		"cpuinfo":   file("no process"),

		"11/task/11/status": file("Name:\tworker\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n"),
		"11/task/15/status": file("voluntary_ctxt_switches:\t30\nx_voluntary_ctxt_switches:\t100\n"),
		"12/task/12/status": file("voluntary_ctxt_switches:\tmany\n"),
		"20/task/20/status": file("voluntary_ctxt_switches:\t1000\n"),
		"11/io":             file("rchar: 70\nwchar: 100\n"),
		"13/io":             file("rchar: 7\n"),
	}
	got, err := Read(proc, 10)
	want := Usage{CPU: 360 * time.Millisecond, ResidentBytes: 1000 * int64(os.Getpagesize()), Processes: 4, Switches: 37, ReadBytes: 77}
	if err != nil || got != want {
		t.Errorf("usage is %+v, %v, want %+v", got, err, want)
	}
	if _, err := Read(proc, 99); err == nil {
		t.Error("a process that does not exist has a usage")
	}
}

func TestTreeUsageOfThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's /proc")
	}
	got, err := Read(os.DirFS("/proc"), os.Getpid())
	if err != nil || got.Processes < 1 || got.ResidentBytes < 1<<20 {
		t.Errorf("usage is %+v, %v", got, err)
	}
}
