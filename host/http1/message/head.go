package message

import (
	"slices"
	"unsafe"

	"github.com/ergoproxy/ergo/host/exchange"
)

// span is where a text stands in the buffer.
type span struct{ start, end int }

func (s span) of(buf []byte) []byte { return buf[s.start:s.end] }

// section parses field lines up to the empty one, and remembers where it is when
// bytes are missing. Positions count from the buffer's first byte.
type section struct {
	base  *byte // of the buffer that the header's views are of
	line  int   // where the line begins that is being read
	colon int   // where its name ends; 0 before that was seen
	pos   int   // the first byte that was not looked at
	count int   // of fields

	trailers bool // it is a trailer section, whose fields frame nothing
	said
}

// begin sets the first line's place.
func (s *section) begin(at int) { s.line, s.pos = at, at }

// parse adds the fields of buf to h. It returns the end of the section, 0 while
// there are bytes missing.
func (s *section) parse(buf []byte, l *Limits, h *exchange.Header) (end int, err *Error) {
	s.rebase(buf, h)
	i, line, colon := s.pos, s.line, s.colon
	for {
		if colon == 0 {
			i = skip(buf, i, inToken)
			if i == len(buf) {
				break
			}
			if buf[i] != ':' || i == line {
				s.line, s.colon = line, 0
				return s.notField(buf, i)
			}
			colon = i
			i++
		}
		i = skipText(buf, i)
		if i == len(buf) || i+1 == len(buf) && buf[i] == '\r' {
			break
		}
		if buf[i] != '\r' || buf[i+1] != '\n' {
			return 0, badText(buf[i])
		}
		if s.count++; l.HeaderCount > 0 && s.count > l.HeaderCount {
			return 0, ErrTooMany
		}
		value := trimmed(buf, colon+1, i)
		name, text := view(buf[line:colon]), view(buf[value.start:value.end])
		id := exchange.KnownName(name)
		kept := true
		if noted>>id&1 == 1 && !s.trailers {
			if kept, err = s.note(id, text, value); err != nil {
				return 0, err
			}
		}
		if kept {
			h.AddKnown(id, name, text)
		}
		i += 2
		line, colon = i, 0
	}
	s.pos, s.line, s.colon = i, line, colon
	return 0, nil
}

// trimmed returns a part of the buffer without the white space around it.
func trimmed(buf []byte, start, end int) span {
	for start < end && isSpace(buf[start]) {
		start++
	}
	for end > start && isSpace(buf[end-1]) {
		end--
	}
	return span{start, end}
}

// notField says what a line is that doesn't begin with a name and a colon: the
// end of the section, if it is empty.
func (s *section) notField(buf []byte, i int) (end int, err *Error) {
	switch c := buf[i]; {
	case c == '\r' && i+1 == len(buf):
		s.pos = i
		return 0, nil
	case c == '\r' && buf[i+1] != '\n':
		return 0, ErrBareCR
	case c == '\r' && i == s.line:
		return i + 2, nil
	case c == '\n':
		return 0, ErrBareLF
	case c == '\r':
		return 0, ErrNoColon
	case c == ':':
		return 0, ErrEmptyName
	case isSpace(c) && i == s.line:
		return 0, ErrFolded
	case isSpace(c):
		return 0, ErrNameSpace
	}
	return 0, ErrName
}

// badText says what is wrong with a byte that ends a text.
func badText(c byte) *Error {
	switch c {
	case '\r':
		return ErrBareCR
	case '\n':
		return ErrBareLF
	}
	return ErrValue
}

// rebase makes the header's fields views of buf, if they are of another buffer
// with the same bytes.
func (s *section) rebase(buf []byte, h *exchange.Header) {
	base := unsafe.SliceData(buf)
	if s.base != base && s.base != nil && h.Len() > 0 {
		old := uintptr(unsafe.Pointer(s.base))
		fields := slices.Clone(h.Fields())
		h.Reset()
		for _, f := range fields {
			h.Add(moved(f.Name, old, buf), moved(f.Value, old, buf))
		}
	}
	s.base = base
}

// moved returns the view of buf that s was of the buffer at the old address.
func moved(s string, old uintptr, buf []byte) string {
	if s == "" {
		return ""
	}
	start := uintptr(unsafe.Pointer(unsafe.StringData(s))) - old
	return view(buf[start : start+uintptr(len(s))])
}
