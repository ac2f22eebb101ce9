package when

import (
	"bytes"
	"strings"
)

// pathPattern is a path in normal form, or the beginning of one.
type pathPattern struct {
	path     string
	isPrefix bool
}

func compilePath(pattern string) pathPattern {
	path, isPrefix := strings.CutSuffix(pattern, "*")
	if !isNormal(path) {
		path = string(appendNormal(nil, path))
	}
	return pathPattern{path, isPrefix}
}

// matchPath reports whether the path of a request's target fits a pattern. It
// looks at the path's normal form, so that no other spelling of a path leads
// around a stage: the upstream is likely to take "/%61pi//x" and "/y/../api/x"
// for "/api/x".
func matchPath(patterns []pathPattern, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if isNormal(path) {
		for i := range patterns {
			p := &patterns[i]
			if path == p.path || p.isPrefix && strings.HasPrefix(path, p.path) {
				return true
			}
		}
		return false
	}
	var memory [512]byte
	normal := appendNormal(memory[:0], path)
	for i := range patterns {
		p := &patterns[i]
		if string(normal) == p.path || p.isPrefix && len(normal) >= len(p.path) && string(normal[:len(p.path)]) == p.path {
			return true
		}
	}
	return false
}

// isNormal reports whether appendNormal would surely leave the path as it is.
func isNormal(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '%':
			return false
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// appendNormal appends a path with its percent-encoding taken off, except that
// of "/", and without empty, "." and ".." segments (RFC 3986, 6.2.2).
func appendNormal(dst []byte, path string) []byte {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return append(dst, path...)
	}
	base := len(dst)
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		start := len(dst)
		dst = append(dst, '/')
		dst = appendDecoded(dst, segment)
		switch string(dst[start+1:]) {
		case "", ".":
			dst = dst[:start]
		case "..":
			dst = dst[:base+max(0, bytes.LastIndexByte(dst[base:start], '/'))]
		default:
			continue
		}
		if !more {
			dst = append(dst, '/')
		}
	}
	return dst
}

// appendDecoded appends a segment with each valid %XX decoded, except %2F.
func appendDecoded(dst []byte, segment string) []byte {
	for i := 0; i < len(segment); i++ {
		if segment[i] == '%' && i+2 < len(segment) {
			high, low := unhex(segment[i+1]), unhex(segment[i+2])
			if high >= 0 && low >= 0 {
				i += 2
				if c := byte(high<<4 | low); c != '/' {
					dst = append(dst, c)
				} else {
					dst = append(dst, "%2F"...)
				}
				continue
			}
		}
		dst = append(dst, segment[i])
	}
	return dst
}

// unhex returns the value of a hexadecimal digit, -1 if c is none.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
