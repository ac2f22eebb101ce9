package manifest

import "github.com/ergoproxy/ergo/host/manifest/internal/place"

// Source is a configuration file that was read: its name and where each of its
// keys stands. It is immutable; a nil Source knows no place.
type Source struct {
	file   string
	places *place.Index
}

// File returns the name that the file was read by.
func (s *Source) File() string {
	if s == nil {
		return ""
	}
	return s.file
}

// Position returns line and column, both from 1, of the key or array element at
// path, such as "edge.stage[0].use[1].config.header" or `telemetry."a.b"`. Of
// what is not written in the file it is the position of the nearest part of the
// path that is.
func (s *Source) Position(path string) (line, column int) {
	if s == nil {
		return 1, 1
	}
	at, _ := s.places.Find(path)
	return at.Line, at.Column
}

// Has reports whether path is written in the file.
func (s *Source) Has(path string) bool {
	if s == nil {
		return false
	}
	_, whole := s.places.Find(path)
	return whole
}

// Problem says that something is wrong at path, and what would be right.
func (s *Source) Problem(path, wrong, right string) Problem {
	line, column := s.Position(path)
	return Problem{File: s.File(), Line: line, Column: column, Path: path, Wrong: wrong, Right: right}
}
