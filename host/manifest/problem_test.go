package manifest

import (
	"errors"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	known := []string{"edge", "service", "policy", "listener"}
	tests := []struct{ unknown, want string }{
		{"egde", `did you mean "edge"?`},
		{"Edge", `did you mean "edge"?`},
		{"polcy", `did you mean "policy"?`},
		{"listeners", `did you mean "listener"?`},
		{"sevrices", `did you mean "service"?`},
		{"upstream", "known are edge, listener, policy, service"},
		{"x", "known are edge, listener, policy, service"},
		{"", "known are edge, listener, policy, service"},
	}
	for _, test := range tests {
		if got := DidYouMean(test.unknown, known); got != test.want {
			t.Errorf("%q: got %s, want %s", test.unknown, got, test.want)
		}
	}
	if got, want := DidYouMean("a", nil), "there are none to choose from"; got != want {
		t.Errorf("none known: got %q, want %q", got, want)
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcd", "badc", 2},
	}
	for _, test := range tests {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%s, %s: got %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("%s, %s: got %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestProblems(t *testing.T) {
	problems := Problems{
		{File: "b.toml", Line: 1, Column: 1, Wrong: "is larger than 1 MiB"},
		{File: "a.toml", Line: 2, Column: 1, Path: "y", Wrong: "wrong"},
		{File: "a.toml", Line: 1, Column: 9, Path: "z", Wrong: "wrong", Right: "right"},
		{File: "a.toml", Line: 2, Column: 1, Path: "x", Wrong: "wrong"},
	}
	problems.Sort()
	const want = "a.toml:1:9: z: wrong: right\na.toml:2:1: x: wrong\na.toml:2:1: y: wrong\nb.toml:1:1: is larger than 1 MiB"
	if got := problems.Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err := (Problems)(nil).Err(); err != nil {
		t.Errorf("no problems: got error %v", err)
	}
	var as Problems
	if !errors.As(problems.Err(), &as) || len(as) != 4 {
		t.Errorf("got %d problems from the error, want 4", len(as))
	}
}

func TestNilSourceHasNoPlace(t *testing.T) {
	m := new(Manifest)
	if got, want := m.Source().Problem("edge", "a", "b"), (Problem{Line: 1, Column: 1, Path: "edge", Wrong: "a", Right: "b"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m.Source().Has("edge") {
		t.Error("a nil source has a key")
	}
}
