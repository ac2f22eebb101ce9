package main

import (
	"strings"
	"testing"
)

var someCases = []testCase{
	{ID: "a", Kind: "check"},
	{ID: "b", Kind: required, After: []string{"a"}},
	{ID: "c", Kind: optimal, After: []string{"b"}},
	{ID: "d", Kind: optimal},
}

func TestACaseNeedsThoseItDependsOn(t *testing.T) {
	cases := []struct {
		results           map[string]any
		required, optimal int
	}{
		{map[string]any{"a": true, "b": true, "c": true, "d": true}, 1, 2},
		{map[string]any{"a": []any{"Assertion", "no"}, "b": true, "c": true, "d": true}, 0, 1},
		{map[string]any{"a": true, "b": []any{"Setup", "x"}, "c": true, "d": true}, 0, 1},
		{map[string]any{"a": true, "b": true, "c": false}, 1, 0},
	}
	for _, c := range cases {
		r := judge(someCases, c.results)
		if got, _ := r.passed(required); got != c.required {
			t.Errorf("%v: got %d required, want %d", c.results, got, c.required)
		}
		if got, all := r.passed(optimal); got != c.optimal || all != 2 {
			t.Errorf("%v: got %d of %d optimal, want %d of 2", c.results, got, all, c.optimal)
		}
	}
}

func TestWhatIsRecordedHolds(t *testing.T) {
	r := judge(someCases, map[string]any{"a": true, "b": true, "c": []any{"Assertion", "late"}, "d": true})
	cases := []struct{ known, want string }{
		{"# why\nc: because", ""},
		{"", "c no longer passes: [Assertion late]"},
		{"c: because\nd: because", "d passes"},
		{"c: because\na: because", "a in suite/not-passed.txt is no case that counts"},
	}
	for _, c := range cases {
		err := r.compare(readReasons(c.known))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %q", c.known, err, c.want)
		}
	}
}

func TestEachReasonIsGiven(t *testing.T) {
	for id, reason := range readReasons(notPassed) {
		if reason == "" {
			t.Errorf("%s: no reason", id)
		}
	}
}
