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
	{ID: "e", Kind: required, Browser: true},
	{ID: "f", Kind: optimal, Browser: true},
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
		for kind, want := range map[string]score{required: {c.required, 1, 1}, optimal: {c.optimal, 2, 1}} {
			if got := r.count(kind, false); got != want {
				t.Errorf("%v: got %s %v, want %v", c.results, kind, got, want)
			}
		}
	}
}

func TestSurrogatesCountApart(t *testing.T) {
	r := judge([]testCase{
		{ID: "a", Kind: required}, {ID: "b", Kind: required, Surrogate: true}, {ID: "c", Kind: optimal, Surrogate: true},
	}, map[string]any{"a": true, "b": true})
	for _, c := range []struct {
		kind  string
		apart bool
		want  score
	}{
		{required, false, score{2, 2, 0}}, {optimal, false, score{0, 1, 0}},
		{required, true, score{1, 1, 0}}, {optimal, true, score{1, 2, 0}},
	} {
		if got := r.count(c.kind, c.apart); got != c.want {
			t.Errorf("%s, %v: got %v, want %v", c.kind, c.apart, got, c.want)
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
