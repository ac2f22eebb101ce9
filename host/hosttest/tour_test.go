package hosttest

import (
	"slices"
	"testing"
)

func TestTourSteps(t *testing.T) {
	const page = "text\n```sh\n$ no\n```\n```sh tour\n$ one\nshown\nbelow\n$ two |\n  three \\\n four\nout |\n```\nx\n```sh tour\n$ three\n\n```\n"
	want := []tourStep{{"one", "shown\nbelow"}, {"two |\n  three \\\n four", "out |"}, {"three", ""}}
	if got := tourSteps(page); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTourOutput(t *testing.T) {
	cases := []struct {
		want, got string
		matches   bool
	}{
		{"a.c", "a.c", true},
		{"a.c", "abc", false},
		{"a...c", "ac", true},
		{"a...c\nd", "a b\nc\nd", true},
		{"a...c", "a b", false},
		{"a", "ab", false},
	}
	for _, c := range cases {
		if got := tourPattern(c.want).MatchString(c.got); got != c.matches {
			t.Errorf("%q shows %q: got %v, want %v", c.want, c.got, got, c.matches)
		}
	}
}
