package exchange

import "testing"

func TestValidName(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "X-Y_z.1": true, "!#$%&'*+-.^_`|~": true,
		"": false, "a b": false, "a:": false, "é": false, "a\x00": false, "(": false, "\x7f": false,
	} {
		if got := ValidName(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestValidValue(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "a b\tc": true, "é": true, "\"": true,
		" a": false, "a\t": false, "a\r\nb": false, "a\nb": false, "a\x00": false, "\x7f": false,
	} {
		if got := ValidValue(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestValidTarget(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           bool
	}{
		{"GET", "/", true}, {"GET", "/a%20b?c=/?", true}, {"GET", "//a", true}, {"GET", "/é", true}, {"OPTIONS", "*", true},
		{"GET", "*", false}, {"GET", "", false}, {"GET", "a", false}, {"GET", "?a", false}, {"GET", "http://h/", false},
		{"GET", "/a b", false}, {"GET", "/a#b", false}, {"GET", "/\r\n", false}, {"GET", "/\x7f", false},
	} {
		if got := ValidTarget(test.method, test.target); got != test.want {
			t.Errorf("%s %q: got %v, want %v", test.method, test.target, got, test.want)
		}
	}
}

var authorities = map[string]bool{
	"example.com": true, "EXAMPLE.com:80": true, "127.0.0.1:1": true, "[::1]": true, "[::1]:8080": true, "h:": true,
	"a_b-c.d": true, "xn--nxasmq6b": true, "%41.test": true,
	"": false, ":80": false, "u@h": false, "h/p": false, "h?q": false, "h:99999x": false, "h:123456": false, "a b": false,
	"[::1": false, "::1": false, "[::1]x": false, "[127.0.0.1]": false, "[fe80::1%eth0]": false, "[]": false, "[": false,
	"]": false, "a]": false, "a,b": false, "h:80:90": false, "a\x00": false, "é": false,
}

func TestValidAuthority(t *testing.T) {
	for s, want := range authorities {
		if got := ValidAuthority(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func FuzzValidAuthority(f *testing.F) {
	for s := range authorities {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !ValidAuthority(s) {
			return
		}
		for i := range len(s) {
			switch c := s[i]; {
			case c <= ' ', c >= 0x7f, c == '@', c == '/', c == '?', c == '#', c == '\\', c == ',':
				t.Errorf("%q is taken as valid", s)
			}
		}
	})
}
