package cache

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const crashFolder = "ERGO_CACHE_CRASH_FOLDER"

// TestMain is a process that stores, says how much of it is saved, and waits for
// its end, when it is told a folder.
func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		if err := storeUntilKilled(folder, os.Getenv("ERGO_CACHE_CRASH_FROM")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func crashOptions(folder string) Options {
	return Options{MemoryBytes: 16 << 20, Disk: folder, DiskBytes: 1 << 30}
}

// crashBody is what is stored as number i: a large one now and then.
func crashBody(i int) string {
	size := i * 37 % 5000
	if i%40 == 7 {
		size = 2 << 20
	}
	return strings.Repeat(fmt.Sprintf("%d,", i), size/8+1)
}

func storeUntilKilled(folder, from string) error {
	first, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	s, err := Open(crashOptions(folder))
	if err != nil {
		return err
	}
	sp := s.Space("p")
	for i := first; ; i++ {
		w, err := sp.Create(fmt.Sprint(i), head("v"), sp.Now())
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, crashBody(i)); err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return err
		}
		switch {
		case i%10 == 3: // this one is not to come back
			if _, err := sp.Purge(Selector{Exact, fmt.Sprint(i)}, false); err != nil {
				return err
			}
			fmt.Println("purged", i)
		case i%25 == 0:
			for s.Stats().Unsaved > 0 {
				time.Sleep(time.Millisecond)
			}
			s.disk.tidy(false)
			fmt.Println("saved", i)
		}
	}
}

// A process that is killed at any point loses what it had not said to be saved, at
// most; what is there is whole, and what was purged stays away.
func TestKilled(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	folder := t.TempDir()
	next, lost := 0, 0
	for round := range rounds {
		saved, purged := killAfter(t, folder, next, time.Duration(20+rand.IntN(150))*time.Millisecond)
		s, err := Open(crashOptions(folder))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		sp := s.Space("p")
		last := next
		for i := 0; i < max(next, saved, purged)+1000; i++ {
			got := bodies(t, sp, fmt.Sprint(i))
			switch {
			case len(got) > 0 && got[0] != crashBody(i):
				t.Errorf("round %d: entry %d is damaged", round, i)
			case len(got) > 0 && i%10 == 3 && i <= purged:
				t.Errorf("round %d: entry %d is back", round, i)
			case len(got) == 0 && i%10 != 3 && i >= next && i <= saved:
				t.Errorf("round %d: entry %d was saved, and is lost", round, i)
			}
			if len(got) > 0 {
				last = i + 1
			}
		}
		stats := s.Stats()
		if stats.Damaged > 0 || files(t, s) != stats.Disk.Entries {
			t.Errorf("round %d: %d files, %+v", round, files(t, s), stats)
		}
		lost += max(0, purged+1-last)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		next = max(last, saved+1, purged+1)
	}
	t.Logf("%d kills in %d entries", rounds, next)
	if next < rounds*10 {
		t.Errorf("only %d entries were stored", next)
	}
}

// killAfter runs a process that stores, and kills it some time after the first
// that it says. It returns the last that was saved, and purged.
func killAfter(t *testing.T, folder string, from int, after time.Duration) (saved, purged int) {
	t.Helper()
	saved, purged = -1, -1
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashFolder+"="+folder, fmt.Sprintf("ERGO_CACHE_CRASH_FROM=%d", from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		what, number, _ := strings.Cut(lines.Text(), " ")
		i, err := strconv.Atoi(number)
		switch {
		case err != nil: // torn by the end
		case what == "saved":
			saved = i
		case what == "purged":
			purged = i
		}
	}
	_ = cmd.Wait()
	return saved, purged
}
