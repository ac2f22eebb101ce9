package config

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is the deepest nesting that is read.
const maxDepth = 64

// number is a JSON number as it was written.
type number string

// parser reads RFC 8259 into nil, bool, number, string, []any and map[string]any.
type parser struct {
	text []byte
	at   int
}

func parse(text []byte) (any, error) {
	p := &parser{text: text}
	value, err := p.value(maxDepth)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.expected("the end")
	}
	return value, nil
}

func (p *parser) expected(what string) error {
	return errors.New("not valid JSON: expected " + what + " at byte " + strconv.Itoa(p.at))
}

// peek returns the next byte, or 0 at the end: no byte of JSON is 0.
func (p *parser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) space() {
	for p.peek() == ' ' || p.peek() == '\t' || p.peek() == '\n' || p.peek() == '\r' {
		p.at++
	}
}

// skip goes past c and says whether it was there.
func (p *parser) skip(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) value(depth int) (any, error) {
	if depth == 0 {
		return nil, p.expected("less nesting")
	}
	p.space()
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	}
	return nil, p.expected("a value")
}

func (p *parser) word(word string) error {
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return p.expected(word)
	}
	p.at += len(word)
	return nil
}

func (p *parser) array(depth int) (any, error) {
	p.at++
	elements := []any{}
	if p.space(); p.skip(']') {
		return elements, nil
	}
	for {
		element, err := p.value(depth - 1)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		if p.space(); p.skip(']') {
			return elements, nil
		}
		if !p.skip(',') {
			return nil, p.expected("',' or ']'")
		}
	}
}

func (p *parser) object(depth int) (any, error) {
	p.at++
	members := map[string]any{}
	if p.space(); p.skip('}') {
		return members, nil
	}
	for {
		if err := p.member(members, depth); err != nil {
			return nil, err
		}
		if p.space(); p.skip('}') {
			return members, nil
		}
		if !p.skip(',') {
			return nil, p.expected("',' or '}'")
		}
	}
}

func (p *parser) member(members map[string]any, depth int) error {
	p.space()
	name, err := p.string()
	if err != nil {
		return err
	}
	if _, twice := members[name]; twice {
		return p.expected("a name that was not there before")
	}
	if p.space(); !p.skip(':') {
		return p.expected("':'")
	}
	members[name], err = p.value(depth - 1)
	return err
}

func (p *parser) number() (any, error) {
	start := p.at
	p.skip('-')
	if !p.skip('0') && !p.digits() {
		return nil, p.expected("a digit")
	}
	if p.skip('.') && !p.digits() {
		return nil, p.expected("a digit")
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		if !p.digits() {
			return nil, p.expected("a digit")
		}
	}
	return number(p.text[start:p.at]), nil
}

func (p *parser) digits() bool {
	start := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at > start
}

func (p *parser) string() (string, error) {
	if !p.skip('"') {
		return "", p.expected("'\"'")
	}
	var text []byte
	for !p.skip('"') {
		c := p.peek()
		if c < ' ' {
			return "", p.expected("a character or '\"'")
		}
		p.at++
		if c != '\\' {
			text = append(text, c)
			continue
		}
		var err error
		if text, err = p.escape(text); err != nil {
			return "", err
		}
	}
	if !utf8.Valid(text) {
		return "", p.expected("UTF-8 before")
	}
	return string(text), nil
}

func (p *parser) escape(text []byte) ([]byte, error) {
	c := p.peek()
	p.at++
	switch c {
	case '"', '\\', '/':
		return append(text, c), nil
	case 'b':
		return append(text, '\b'), nil
	case 'f':
		return append(text, '\f'), nil
	case 'n':
		return append(text, '\n'), nil
	case 'r':
		return append(text, '\r'), nil
	case 't':
		return append(text, '\t'), nil
	case 'u':
		return p.unicode(text)
	}
	p.at--
	return nil, p.expected("an escape")
}

// unicode reads XXXX, and the second half if it is one of a surrogate pair.
func (p *parser) unicode(text []byte) ([]byte, error) {
	r, err := p.hex4()
	if err != nil {
		return nil, err
	}
	if utf16.IsSurrogate(r) {
		if !p.skip('\\') || !p.skip('u') {
			return nil, p.expected("a low surrogate")
		}
		low, err := p.hex4()
		if err != nil {
			return nil, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return nil, p.expected("a low surrogate before")
		}
	}
	return utf8.AppendRune(text, r), nil
}

func (p *parser) hex4() (rune, error) {
	end := p.at + 4
	if end > len(p.text) {
		return 0, p.expected("four hexadecimal digits")
	}
	code, err := strconv.ParseUint(string(p.text[p.at:end]), 16, 16)
	if err != nil {
		return 0, p.expected("four hexadecimal digits")
	}
	p.at = end
	return rune(code), nil
}
