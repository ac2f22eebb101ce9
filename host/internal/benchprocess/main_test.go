package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestMain plays the other side, as main does.
func TestMain(m *testing.M) {
	if play := roles[filepath.Base(os.Args[0])]; play != nil {
		play()
		return
	}
	os.Exit(m.Run())
}

func TestGoals(t *testing.T) {
	f := figures{policy: figure{20 * time.Microsecond, 30_000}, unary: figure{50 * time.Microsecond, 10_000}}
	want := []float64{20, 30_000, 2.5}
	got := f.goals()
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for n, g := range got {
		if g.Measured != want[n] || !g.Met() {
			t.Errorf("goal %d: got %v, want %v, met", n, g, want[n])
		}
	}
}

func TestMedian(t *testing.T) {
	got := median([]figure{{3, 30}, {1, 20}, {2, 10}})
	if want := (figure{2, 20}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Both ways work, and leave profiles where they are asked for.
func TestMeasure(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processor time is read from Linux's /proc")
	}
	folder := t.TempDir()
	f, err := measure(t.Context(), options{exchanges: 200, rounds: 1, inFlight: 4, profiles: folder})
	if err != nil {
		t.Fatal(err)
	}
	if f.policy.rate <= 0 || f.unary.rate <= 0 {
		t.Errorf("got %+v", f)
	}
	for _, name := range []string{"host.pprof", "plugin.pprof"} {
		if file, err := os.Stat(filepath.Join(folder, name)); err != nil || file.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
