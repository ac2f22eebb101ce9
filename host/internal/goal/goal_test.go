package goal

import (
	"strings"
	"testing"
)

func TestGoals(t *testing.T) {
	cases := []struct {
		goal Goal
		met  bool
	}{
		{Goal{Measured: 20, Bound: 15, Least: true}, true},
		{Goal{Measured: 15, Bound: 15, Least: true}, true},
		{Goal{Measured: 14, Bound: 15, Least: true}, false},
		{Goal{Measured: 20, Bound: 60}, true},
		{Goal{Measured: 60, Bound: 60}, true},
		{Goal{Measured: 61, Bound: 60}, false},
	}
	for _, tc := range cases {
		if got := tc.goal.Met(); got != tc.met {
			t.Errorf("%+v: met %t", tc.goal, got)
		}
	}
}

func TestPrint(t *testing.T) {
	goals := []Goal{{What: "one", Measured: 20, Unit: "us", Bound: 60}, {What: "two", Measured: 1, Unit: "times", Bound: 2, Least: true}}
	var out strings.Builder
	if met, err := Print(&out, goals); met || err != nil {
		t.Errorf("got met %t, error %v", met, err)
	}
	for _, want := range []string{"at most 60 us", "at least 2 times", "true\n", "false\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", out.String(), want)
		}
	}
	if met, err := Print(&out, goals[:1]); !met || err != nil {
		t.Errorf("got met %t, error %v", met, err)
	}
}
