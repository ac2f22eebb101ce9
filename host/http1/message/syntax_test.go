package message

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// FuzzShortWays checks that the short ways are those of package exchange.
func FuzzShortWays(f *testing.F) {
	for _, s := range []string{
		"", "h", "h:", "h:80", "h:99999", "h:123456", "h:8a", ":80", "a_b-c.d~%41", "[::1]:80", "[::1", "u@h", "h,h", "h:80:80",
		"*", "/", "/a?b", "/a b", "/a#b", "a", "GET", "http", "HTTP", "Close", "chunked", "chun\u212aed", " \ta \t", " ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := validAuthority(s), exchange.ValidAuthority(s); got != want {
			t.Errorf("authority %q: got %v, want %v", s, got, want)
		}
		for _, method := range []string{"GET", "OPTIONS"} {
			if got, want := validTarget(method, s), exchange.ValidTarget(method, s); got != want {
				t.Errorf("target %q of %s: got %v, want %v", s, method, got, want)
			}
		}
		if got, want := validValue(strings.Trim(s, " \t")), exchange.ValidValue(strings.Trim(s, " \t")); got != want {
			t.Errorf("value %q: got %v, want %v", s, got, want)
		}
		if got, want := trim(s), strings.Trim(s, " \t"); got != want {
			t.Errorf("%q trimmed: got %q, want %q", s, got, want)
		}
	})
}

func TestEqualFold(t *testing.T) {
	for _, test := range []struct {
		s, lower string
		want     bool
	}{
		{"close", "close", true}, {"CLOSE", "close", true}, {"cLoSe", "close", true}, {"100-Continue", "100-continue", true},
		{"keep-alive", "keep-alive", true}, {"keep\ralive", "keep-alive", false}, {"close ", "close", false}, {"", "close", false},
		{"\x11\x10\x10-continue", "100-continue", false}, {"c\x0cose", "close", false}, {"clo\u017fe", "close", false},
	} {
		if got := exchange.EqualFold(test.s, test.lower); got != test.want {
			t.Errorf("%q and %q: got %v", test.s, test.lower, got)
		}
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"H:80", "h:80", true}, {"[::A]", "[::a]", true}, {"h@", "h`", false}, {"h[", "h{", false}, {"h-", "h\r", false}, {"h", "hh", false},
	} {
		if got := exchange.EqualFold(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: got %v", test.a, test.b, got)
		}
	}
}
