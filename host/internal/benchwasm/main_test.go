package main

import (
	"testing"
	"time"
)

func TestGoals(t *testing.T) {
	cases := []struct {
		goal goal
		met  bool
	}{
		{goal{measured: 20, bound: 15, least: true}, true},
		{goal{measured: 15, bound: 15, least: true}, true},
		{goal{measured: 14, bound: 15, least: true}, false},
		{goal{measured: 20, bound: 60}, true},
		{goal{measured: 60, bound: 60}, true},
		{goal{measured: 61, bound: 60}, false},
	}
	for _, tc := range cases {
		if got := tc.goal.met(); got != tc.met {
			t.Errorf("%+v: met %t", tc.goal, got)
		}
	}
}

func TestGoalsOfFigures(t *testing.T) {
	f := figures{
		plain: cost{9 * time.Millisecond, 2000}, clone: cost{time.Millisecond, 100},
		shared: 2 * time.Microsecond, fresh: 12 * time.Microsecond,
	}
	want := []float64{9, 20, 10}
	got := f.goals(guest{faster: 1, smaller: 1, fresh: time.Microsecond})
	for n, g := range got {
		if len(got) != len(want) || g.measured != want[n] {
			t.Errorf("goal %d: got %v of %d, want %v", n, g.measured, len(got), want)
		}
	}
}
