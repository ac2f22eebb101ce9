package http1

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// equalFold compares with a text in lower case, ASCII letters without case.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] != lower[i] && (s[i]|0x20 != lower[i] || s[i] < 'A') {
			return false
		}
	}
	return true
}

// member cuts the first member off a list (RFC 9110, 5.6.1).
func member(list string) (first, rest string) {
	first, rest, _ = strings.Cut(list, ",")
	return trim(first), rest
}

// trim cuts the white space that may surround a list's member (RFC 9110, 5.6.3).
func trim(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// versionSize is the size of "HTTP/1.1" and of all other versions.
const versionSize = len("HTTP/1.1")

// parseVersion reads an HTTP-version that b begins with (RFC 9112, 2.3). It
// is 0 while bytes are missing.
func parseVersion(b []byte) (exchange.Version, *Error) {
	if len(b) >= versionSize && string(b[:versionSize]) == "HTTP/1.1" {
		return exchange.HTTP11, nil
	}
	const form = "HTTP/0.0"
	for i := 0; i < len(form) && i < len(b); i++ {
		if form[i] == '0' && '0' <= b[i] && b[i] <= '9' {
			continue
		}
		if b[i] != form[i] {
			return 0, ErrVersion
		}
	}
	if len(b) < len(form) {
		return 0, nil
	}
	if string(b[5:len(form)]) == "1.0" {
		return exchange.HTTP10, nil
	}
	return 0, ErrUnknownVersion
}

// cutAbsolute takes an absolute form apart (RFC 9112, 3.2.2). A URI without a
// path has an empty target, one with a query alone a target that begins with "?".
func cutAbsolute(uri string) (scheme, authority, target string, ok bool) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok:
		return "", "", "", false
	case equalFold(scheme, "http"):
		scheme = "http"
	case equalFold(scheme, "https"):
		scheme = "https"
	default:
		return "", "", "", false
	}
	start := strings.IndexAny(rest, "/?")
	if start < 0 {
		return scheme, rest, "", true
	}
	return scheme, rest[:start], rest[start:], true
}

// equalFoldASCII compares without the case of ASCII letters.
func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && (a[i]|0x20 != b[i]|0x20 || a[i]|0x20 < 'a' || a[i]|0x20 > 'z') {
			return false
		}
	}
	return true
}

// validAuthority is exchange.ValidAuthority, with a short way for names and
// addresses without brackets.
func validAuthority(s string) bool {
	i := skip(bytesOf(s), 0, inHost)
	switch {
	case i == 0:
		return exchange.ValidAuthority(s)
	case i == len(s):
		return true
	case s[i] != ':' || len(s)-i > len(":65535"):
		return false
	}
	for _, c := range []byte(s[i+1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// validTarget is exchange.ValidTarget, eight bytes at a time.
func validTarget(method, target string) bool {
	if target == "*" {
		return method == "OPTIONS"
	}
	return target != "" && target[0] == '/' && skipTarget(bytesOf(target), 0) == len(target)
}
