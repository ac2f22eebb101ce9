package place

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner finds where the keys and array elements of a TOML document stand. It
// judges nothing: what is not TOML is passed over, since the parser refuses it.
type scanner struct {
	text      string
	at        int
	line      int
	lineStart int
	root      *node
	tooDeep   *node  // where nesting passed MaxDepth, or nil
	twice     *Twice // the first of its kind, or nil
}

// Scan returns the places of a document.
func Scan(text string) *Index {
	s := &scanner{text: text, line: 1, root: &node{Position: Position{1, 1}}}
	s.document()
	return &Index{root: s.root, tooDeep: s.tooDeep, twice: s.twice}
}

func (s *scanner) document() {
	if strings.HasPrefix(s.text, "\uFEFF") {
		s.at = len("\uFEFF")
	}
	table := s.root
	for s.skipBlank(); s.more() && s.tooDeep == nil; s.skipBlank() {
		if s.text[s.at] == '[' {
			table = s.header()
		} else {
			s.keyValue(table, 0)
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the table that it opens.
func (s *scanner) header() *node {
	s.at++
	array := s.take('[')
	keys := s.key()
	table := s.root
	for i, k := range keys {
		table = table.enter(k)
		last := i == len(keys)-1
		switch {
		case last && array:
			table = table.add(k.at)
		case last:
			table.Position = k.at
		case len(table.elements) > 0:
			table = table.elements[len(table.elements)-1]
		}
	}
	s.take(']')
	s.take(']')
	return table
}

// keyValue reads a.b = value below table.
func (s *scanner) keyValue(table *node, depth int) {
	keys := s.key()
	for i, k := range keys {
		if earlier := table.keys[k.name]; earlier != nil && i == len(keys)-1 && s.twice == nil {
			s.twice = &Twice{First: earlier.Position, Second: k.at, Key: k.name}
		}
		table = table.enter(k)
	}
	s.take('=')
	s.skipSpace()
	s.value(table, depth)
}

// value reads the value of the key or element at p.
func (s *scanner) value(p *node, depth int) {
	if depth > MaxDepth {
		s.tooDeep = p
		return
	}
	if !s.more() {
		return
	}
	switch s.text[s.at] {
	case '"', '\'':
		s.quoted()
	case '[':
		s.items(']', func() { s.value(p.add(s.position()), depth+1) })
	case '{':
		s.items('}', func() { s.keyValue(p, depth+1) })
	default:
		for s.more() && !strings.ContainsRune(",]}#\n", rune(s.text[s.at])) {
			s.at++
		}
	}
}

// items reads what stands between brackets, separated by commas.
func (s *scanner) items(closing byte, item func()) {
	s.at++
	for s.skipBlank(); s.more() && s.tooDeep == nil; s.skipBlank() {
		if s.take(closing) {
			return
		}
		before := s.at
		item()
		s.skipBlank()
		if !s.take(',') && s.at == before {
			s.at++
		}
	}
}

// part is one part of a dotted key.
type part struct {
	name string
	at   Position
}

// key reads a dotted key, and at least one byte of what is none.
func (s *scanner) key() []part {
	var parts []part
	before := s.at
	for s.more() {
		s.skipSpace()
		p := part{at: s.position()}
		start := s.at
		if s.more() && (s.text[s.at] == '"' || s.text[s.at] == '\'') {
			p.name = s.quoted()
		} else {
			for s.more() && isBareKeyByte(s.text[s.at]) {
				s.at++
			}
			p.name = s.text[start:s.at]
		}
		if s.at > start {
			parts = append(parts, p)
		}
		s.skipSpace()
		if !s.take('.') {
			break
		}
	}
	if s.at == before && s.more() {
		s.newline()
		s.at++
	}
	return parts
}

// quoted reads a string of any of the four kinds and returns what it means.
func (s *scanner) quoted() string {
	quote := s.text[s.at]
	triple := strings.Repeat(string(quote), 3)
	if strings.HasPrefix(s.text[s.at:], triple) {
		s.at += len(triple)
		start := s.at
		for s.more() && !strings.HasPrefix(s.text[s.at:], triple) {
			s.character(quote)
		}
		end := s.at
		for s.take(quote) { // up to two quotes may stand before the closing three
		}
		return s.text[start:end]
	}
	s.at++
	start := s.at
	for s.more() && s.text[s.at] != quote && s.text[s.at] != '\n' {
		s.character(quote)
	}
	raw := s.text[start:s.at]
	s.take(quote)
	if quote == '"' {
		return unescape(raw)
	}
	return raw
}

// character passes one character of a string.
func (s *scanner) character(quote byte) {
	if quote == '"' && s.text[s.at] == '\\' && s.at+1 < len(s.text) {
		s.at++
	}
	s.newline()
	s.at++
}

// unescape resolves the escapes of a basic string (TOML 1.1, String).
func unescape(raw string) string {
	if !strings.Contains(raw, `\`) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			b.WriteByte(raw[i])
			continue
		}
		i++
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[raw[i]]
		if short := strings.IndexByte(`btnfre`, raw[i]); short >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b"[short])
		} else if digits > 0 && i+digits < len(raw) {
			code, err := strconv.ParseUint(raw[i+1:i+1+digits], 16, 31)
			if err != nil {
				code = utf8.RuneError
			}
			b.WriteRune(rune(code))
			i += digits
		} else {
			b.WriteByte(raw[i])
		}
	}
	return b.String()
}

func (s *scanner) more() bool { return s.at < len(s.text) }

func (s *scanner) position() Position { return Position{s.line, s.at - s.lineStart + 1} }

// take passes c if it is next.
func (s *scanner) take(c byte) bool {
	if s.more() && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// newline counts a line if the byte at hand ends one.
func (s *scanner) newline() {
	if s.text[s.at] == '\n' {
		s.line++
		s.lineStart = s.at + 1
	}
}

func (s *scanner) skipSpace() {
	for s.more() && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

// skipBlank passes spaces, line ends and comments.
func (s *scanner) skipBlank() {
	for s.more() {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.newline()
			s.at++
		case '#':
			for s.more() && s.text[s.at] != '\n' {
				s.at++
			}
		default:
			return
		}
	}
}
