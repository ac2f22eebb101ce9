package manifest

import (
	"strconv"
	"strings"
)

// Source is a configuration file that was read: its name and where each of its
// keys stands. It is immutable; a nil Source knows no place.
type Source struct {
	file string
	root *place
}

// File returns the name that the file was read by.
func (s *Source) File() string {
	if s == nil {
		return ""
	}
	return s.file
}

// Position returns line and column, both from 1, of the key or array element at
// path, such as "edge.stage[0].use[1].config.header" or `upstream."a.b".tls`. Of
// what is not written in the file it is the position of the nearest part of the
// path that is.
func (s *Source) Position(path string) (line, column int) {
	if s == nil {
		return 1, 1
	}
	found, _ := s.find(path)
	return found.line, found.column
}

// Has reports whether path is written in the file.
func (s *Source) Has(path string) bool {
	if s == nil {
		return false
	}
	_, whole := s.find(path)
	return whole
}

// Problem says that something is wrong at path, and what would be right.
func (s *Source) Problem(path, wrong, right string) Problem {
	line, column := s.Position(path)
	return Problem{File: s.File(), Line: line, Column: column, Path: path, Wrong: wrong, Right: right}
}

// find returns the place of the longest known beginning of path, and whether
// that is the whole of it.
func (s *Source) find(path string) (*place, bool) {
	at := s.root
	for _, step := range splitPath(path) {
		next := at.child(step)
		if next == nil {
			return at, false
		}
		at = next
	}
	return at, true
}

// place is where a key or an array element stands, and what is below it.
type place struct {
	line, column int
	keys         map[string]*place
	elements     []*place
}

// child returns the place one step below, or nil.
func (p *place) child(s step) *place {
	if s.element {
		if s.index < len(p.elements) {
			return p.elements[s.index]
		}
		return nil
	}
	return p.keys[s.key]
}

// step is a part of a path: a key or the index of an array element.
type step struct {
	key     string
	index   int
	element bool
}

// splitPath takes apart what keyPath and elementPath put together.
func splitPath(path string) []step {
	var steps []step
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			digits, rest, _ := strings.Cut(path[1:], "]")
			index, err := strconv.Atoi(digits)
			if err != nil || index < 0 {
				return steps
			}
			steps = append(steps, step{index: index, element: true})
			path = rest
		case '"':
			quoted, err := strconv.QuotedPrefix(path)
			if err != nil {
				return steps
			}
			key, _ := strconv.Unquote(quoted)
			steps = append(steps, step{key: key})
			path = path[len(quoted):]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			steps = append(steps, step{key: path[:end]})
			path = path[end:]
		}
	}
	return steps
}

// keyPath returns the path of a key below path; a key that TOML wants quoted is
// quoted.
func keyPath(path, key string) string {
	if !isBareKey(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// elementPath returns the path of an array element below path.
func elementPath(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

func isBareKey(key string) bool {
	for i := range len(key) {
		if !isBareKeyByte(key[i]) {
			return false
		}
	}
	return key != ""
}

// isBareKeyByte is the alphabet of bare keys (TOML 1.0, Keys).
func isBareKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
