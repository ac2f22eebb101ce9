package main

import (
	"testing"
	"time"
)

func TestGoalsOfFigures(t *testing.T) {
	f := figures{
		plain: cost{9 * time.Millisecond, 2000}, clone: cost{time.Millisecond, 100},
		shared: 2 * time.Microsecond, fresh: 12 * time.Microsecond,
	}
	want := []float64{9, 20, 10}
	got := f.goals(guest{faster: 1, smaller: 1, fresh: time.Microsecond})
	for n, g := range got {
		if len(got) != len(want) || g.Measured != want[n] {
			t.Errorf("goal %d: got %v of %d, want %v", n, g.Measured, len(got), want)
		}
	}
}
