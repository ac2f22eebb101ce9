package message

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

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
