package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestChildThatEndsSaysWhy(t *testing.T) {
	c, err := startChild(t.TempDir(), []string{"sh", "-c", "echo $REASON; exit 3"}, []string{"REASON=bad luck"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.waitReady(t.Context(), address); err == nil || !strings.Contains(err.Error(), "bad luck") {
		t.Errorf("error is %v, want one with what the child printed", err)
	}
}

func TestChildThatNeverListens(t *testing.T) {
	c, err := startChild(t.TempDir(), []string{"sleep", "60"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.waitReady(ctx, address); err == nil || !strings.Contains(err.Error(), "it printed nothing") {
		t.Errorf("error is %v", err)
	}
}

// TestStopEndsTheWholeTree has a grandchild that ignores the kind request to end.
func TestStopEndsTheWholeTree(t *testing.T) {
	dir := t.TempDir()
	c, err := startChild(dir, []string{"sh", "-c", `sh -c 'trap "" TERM; echo $$ > started; mv started pid; while :; do sleep 60; done' & wait`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for deadline := time.Now().Add(10 * time.Second); pid == 0; {
		if text, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
			if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				t.Fatal(err)
			}
		} else if time.Now().After(deadline) {
			c.stop()
			t.Fatal("the grandchild did not start")
		}
	}
	c.stop()
	for deadline := time.Now().Add(10 * time.Second); !gone(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives stop", pid)
		}
	}
}

// gone is true of a process that has ended, whether or not its new parent has noticed.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || strings.Contains(string(line), ") Z ")
}

func TestRaiseFileLimitReachesChildren(t *testing.T) {
	if err := raiseFileLimit(256); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "ulimit -n").Output()
	if want := strconv.FormatUint(limit.Max, 10); err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("a child may open %q files, %v, want %s", out, err, want)
	}
}
