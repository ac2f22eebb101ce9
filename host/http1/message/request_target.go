package message

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// target finds target and authority in the request line and Host (RFC 9112,
// 3.2 and 3.3).
func (p *RequestParser) target(buf []byte, r *RequestHead) *Error {
	s := &p.fields
	r.Scheme, r.Target = "", view(buf[p.methodEnd+1:p.targetEnd])
	r.Authority = view(s.host.of(buf))
	if s.hosts > 1 {
		return ErrHosts
	}
	if s.hosts == 0 && p.version != exchange.HTTP10 {
		return ErrNoHost
	}
	if s.hosts == 1 && !validAuthority(r.Authority) {
		return ErrHost
	}
	if r.Target[0] == '/' || r.Target == "*" && r.Method == "OPTIONS" {
		return nil
	}
	return absolute(r, s.hosts == 1)
}

// absolute takes the target apart. A Host beside it says the same (RFC 9112, 3.2).
func absolute(r *RequestHead, hasHost bool) *Error {
	scheme, authority, target, ok := cutAbsolute(r.Target)
	if !ok || !validAuthority(authority) {
		return ErrTarget
	}
	if hasHost && !exchange.EqualFold(authority, r.Authority) {
		return ErrOtherHost
	}
	r.Scheme, r.Authority = scheme, authority
	switch {
	case target == "" && r.Method == "OPTIONS":
		target = "*" // RFC 9112, 3.2.4
	case target == "":
		target = "/"
	case target[0] == '?':
		target = "/" + target
	}
	r.Target = target
	return nil
}

// cutAbsolute takes an absolute form apart (RFC 9112, 3.2.2). A URI without a
// path has an empty target, one with a query alone a target that begins with "?".
func cutAbsolute(uri string) (scheme, authority, target string, ok bool) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok:
		return "", "", "", false
	case exchange.EqualFold(scheme, "http"):
		scheme = "http"
	case exchange.EqualFold(scheme, "https"):
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
