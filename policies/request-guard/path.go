package main

import (
	"strings"
	"unicode/utf8"
)

// maxReadings is how many readings a path may have, the one that was sent included.
// Behind several servers an application sees a path that was decoded more than once.
const maxReadings = 3

// pathRules say which readings of a path are acceptable.
type pathRules struct {
	encodedSlash  bool
	emptySegments bool
}

// read returns the path as the last of its readers will see it, or why no
// application should see it at all: every reading on the way is looked at.
func (r pathRules) read(path string) (decoded, problem string) {
	for reading := range maxReadings {
		if problem := r.look(path); problem != "" {
			return "", problem
		}
		next, ok := decode(path)
		if !ok && reading == 0 {
			return "", "broken percent-encoding"
		}
		if next == path {
			return path, ""
		}
		if !r.encodedSlash && strings.Count(next, "/") != strings.Count(path, "/") {
			return "", "encoded slash"
		}
		path = next
	}
	return "", "encoded too often"
}

// look judges one reading of a path.
func (r pathRules) look(path string) string {
	if !utf8.ValidString(path) {
		return "not UTF-8"
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c < ' ' || c == 0x7f:
			return "control character"
		case c == '\\':
			return "backslash"
		}
	}
	for _, segment := range strings.Split(path, "/") {
		// Some servers cut path parameters off before they resolve dots: "/..;x/".
		segment, _, _ := strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return "dot segment"
		}
	}
	if !r.emptySegments && strings.Contains(path, "//") {
		return "empty segment"
	}
	return ""
}

// decode undoes one layer of percent-encoding. A "%" that begins no escape stays,
// and ok is false.
func decode(path string) (decoded string, ok bool) {
	if strings.IndexByte(path, '%') < 0 {
		return path, true
	}
	ok = true
	text := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] != '%':
			text = append(text, path[i])
		case i+2 < len(path) && digit(path[i+1]) < 16 && digit(path[i+2]) < 16:
			text = append(text, digit(path[i+1])<<4|digit(path[i+2]))
			i += 2
		default:
			text = append(text, '%')
			ok = false
		}
	}
	return string(text), ok
}

// digit returns the value of a hexadecimal digit, above 15 for anything else.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// pattern is a path in lower case in which "*" stands for any run of characters.
type pattern string

func compile(texts []string) []pattern {
	patterns := make([]pattern, len(texts))
	for i, text := range texts {
		patterns[i] = pattern(strings.ToLower(text))
	}
	return patterns
}

// matches compares without regard to case, in time linear in the path for each "*".
func (p pattern) matches(path string) bool {
	path = strings.ToLower(path)
	first, rest, open := strings.Cut(string(p), "*")
	if !open {
		return path == first
	}
	path, found := strings.CutPrefix(path, first)
	for found {
		var piece string
		if piece, rest, open = strings.Cut(rest, "*"); !open {
			return strings.HasSuffix(path, piece)
		}
		_, path, found = strings.Cut(path, piece)
	}
	return false
}
