package exchange

import (
	"net/netip"
	"strings"
)

// ValidName reports whether s is a token (RFC 9110, 5.6.2): what a field's
// name and a method must be.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

// ValidValue reports whether s can be a field's value: no control characters
// but tab, no surrounding white space (RFC 9110, 5.5).
func ValidValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == "" || !isSpace(s[0]) && !isSpace(s[len(s)-1])
}

// ValidTarget reports whether target can be a Request's Target: "*" for
// OPTIONS, else a path with optional query and without fragment, white space or
// control characters (RFC 9112, 3.2).
func ValidTarget(method, target string) bool {
	if target == "*" {
		return method == "OPTIONS"
	}
	if target == "" || target[0] != '/' {
		return false
	}
	for i := 0; i < len(target); i++ {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// ValidAuthority reports whether s is a host with an optional port and nothing
// else: no user information, no empty host (RFC 9110, 4.2.1 and 4.2.4).
func ValidAuthority(s string) bool {
	host, port, ok := splitAuthority(s)
	if !ok || len(port) > 5 {
		return false
	}
	for i := 0; i < len(port); i++ {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
	}
	if host[0] == '[' {
		addr, err := netip.ParseAddr(host[1 : len(host)-1])
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	for i := 0; i < len(host); i++ {
		if !isRegName(host[i]) {
			return false
		}
	}
	return true
}

// splitAuthority cuts the port off; an IPv6 literal keeps its brackets.
func splitAuthority(s string) (host, port string, ok bool) {
	host = s
	if end := strings.LastIndexByte(s, ']'); end >= 0 {
		if s[0] != '[' {
			return "", "", false
		}
		host, port = s[:end+1], s[end+1:]
		if port != "" && port[0] != ':' {
			return "", "", false
		}
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
	}
	return host, port, host != "" && (host[0] != '[' || host[len(host)-1] == ']')
}

// isRegName holds for what may stand in a host's name (RFC 3986, 3.2.2), with
// "%" for encoded characters and without "," and other sub-delimiters, which no
// name has and which make lists of hosts ambiguous.
func isRegName(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || c == '%'
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// tokens has a bit for each character below 128 that a token may have.
var tokens = func() (bits [2]uint64) {
	for c := range byte(128) {
		if isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			bits[c/64] |= 1 << (c % 64)
		}
	}
	return bits
}()

func isToken(c byte) bool { return c < 128 && tokens[c/64]&(1<<(c%64)) != 0 }
