package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// Requests that can't be decided on, because what decides and what serves could read them
// in two ways.
var (
	errPath = errors.New("the path is ambiguous")
	errBody = errors.New("the body is not the JSON that it says it is")
)

// maxDepth bounds how deep a body nests.
const maxDepth = 64

// inputMaker makes the document that rules know as input. It is safe for concurrent use.
type inputMaker struct {
	headers []string  // in lower case; nil: all
	context *ast.Term // nil: none
}

func newInputMaker(c *inputConfig) (*inputMaker, error) {
	m := new(inputMaker)
	if c.Headers != nil {
		m.headers = []string{}
	}
	for _, name := range c.Headers {
		m.headers = append(m.headers, strings.ToLower(name))
	}
	if c.Context != nil {
		v, err := ast.InterfaceToValue(c.Context)
		if err != nil {
			return nil, fmt.Errorf("config.input.context: %w", err)
		}
		m.context = ast.NewTerm(v)
	}
	return m, nil
}

type item = [2]*ast.Term

func text(s string) *ast.Term {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return ast.StringTerm(s)
}

func entry(key string, value *ast.Term) item { return item{ast.InternedTerm(key), value} }

// input is the document of a request. A nil body is none that could be read.
func (m *inputMaker) input(r *plugin.Request, body *ast.Term) (*ast.Term, error) {
	rawPath, rawQuery, _ := strings.Cut(r.Target, "?")
	path, segments, err := readPath(rawPath)
	if err != nil {
		return nil, err
	}
	request := ast.NewObject(
		entry("id", text(r.ID)), entry("method", text(r.Method)), entry("scheme", text(r.Scheme)),
		entry("host", text(strings.ToLower(r.Authority))), entry("path", text(path)), entry("segments", texts(segments)),
		entry("query", readQuery(rawQuery)), entry("headers", m.fields(r.Header.Fields())),
	)
	if body != nil {
		request.Insert(ast.InternedTerm("body"), body)
	}
	input := ast.NewObject(
		entry("request", ast.NewTerm(request)),
		entry("client", ast.ObjectTerm(entry("address", text(r.Client)))),
	)
	if r.Subject != "" {
		input.Insert(ast.InternedTerm("identity"), identityOf(r))
	}
	if m.context != nil {
		input.Insert(ast.InternedTerm("context"), m.context)
	}
	return ast.NewTerm(input), nil
}

func identityOf(r *plugin.Request) *ast.Term {
	attributes := ast.NewObject()
	for _, a := range r.Attributes {
		attributes.Insert(text(a.Name), text(a.Value))
	}
	return ast.ObjectTerm(
		entry("subject", text(r.Subject)), entry("method", text(r.IdentifiedBy)), entry("attributes", ast.NewTerm(attributes)),
	)
}

func texts(list []string) *ast.Term {
	terms := make([]*ast.Term, len(list))
	for i, s := range list {
		terms[i] = text(s)
	}
	return ast.ArrayTerm(terms...)
}

// readPath decodes a path, and drops empty segments. What servers read in different ways is
// refused: escapes that are none, what an escape hides a separator or a control character with, and dot segments.
func readPath(raw string) (path string, segments []string, err error) {
	if raw == "*" {
		return raw, nil, nil
	}
	var b strings.Builder
	for part := range strings.SplitSeq(raw, "/") {
		segment, ok := unescape(part, false)
		if !ok || segment == "." || segment == ".." || !utf8.ValidString(segment) || strings.ContainsFunc(segment, divides) {
			return "", nil, errPath
		}
		if segment != "" {
			segments = append(segments, segment)
			b.WriteString("/")
			b.WriteString(segment)
		}
	}
	if b.Len() == 0 || strings.HasSuffix(raw, "/") {
		b.WriteString("/")
	}
	return b.String(), segments, nil
}

func divides(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f }

// readQuery reads a query as browsers write it; escapes that are none stay as they are.
func readQuery(raw string) *ast.Term {
	names := []string{}
	values := map[string][]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, _ = unescape(name, true)
		value, _ = unescape(value, true)
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
	query := ast.NewObject()
	for _, name := range names {
		query.Insert(text(name), texts(values[name]))
	}
	return ast.NewTerm(query)
}

// unescape decodes %XX; not ok: there was a % of something else, which stays.
func unescape(s string, plus bool) (decoded string, ok bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	ok = true
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+' && plus:
			b = append(b, ' ')
		case s[i] != '%':
			b = append(b, s[i])
		case i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b, ok = append(b, '%'), false
		}
	}
	return string(b), ok
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// fields are those of the request by their names in lower case. Those of one name are
// joined, as RFC 9110 (5.3) has it, and cookies as RFC 9113 (8.2.3).
func (m *inputMaker) fields(fields []plugin.Field) *ast.Term {
	names := make([]string, 0, len(fields))
	values := make([]string, 0, len(fields))
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if m.headers != nil && !slices.Contains(m.headers, name) {
			continue
		}
		if at := slices.Index(names, name); at >= 0 {
			separator := ", "
			if name == "cookie" {
				separator = "; "
			}
			values[at] += separator + f.Value
			continue
		}
		names, values = append(names, name), append(values, f.Value)
	}
	headers := make([]item, len(names))
	for i, name := range names {
		headers[i] = item{text(name), text(values[i])}
	}
	return ast.ObjectTerm(headers...)
}

// readBody reads a body that says it is JSON; nil if it says something else, or there is
// none. What readers take in different ways is refused: a name twice in an object, text after the document.
func readBody(contentType string, body []byte) (*ast.Term, error) {
	if len(body) == 0 || !isJSON(contentType) {
		return nil, nil
	}
	if !utf8.Valid(body) {
		return nil, errBody
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	v, err := readValue(decoder, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errBody
	}
	return v, nil
}

func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func readValue(d *json.Decoder, depth int) (*ast.Term, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if _, nests := token.(json.Delim); nests && depth == maxDepth {
		return nil, errors.New("it nests too deep")
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return readArray(d, depth+1)
		}
		return readObject(d, depth+1)
	case string:
		return ast.StringTerm(token), nil
	case json.Number:
		return ast.NumberTerm(token), nil
	case bool:
		return ast.BooleanTerm(token), nil
	default:
		return ast.NullTerm(), nil
	}
}

func readArray(d *json.Decoder, depth int) (*ast.Term, error) {
	var items []*ast.Term
	for d.More() {
		v, err := readValue(d, depth)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := d.Token()
	return ast.ArrayTerm(items...), err
}

func readObject(d *json.Decoder, depth int) (*ast.Term, error) {
	object := ast.NewObject()
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := ast.StringTerm(name.(string))
		if object.Get(key) != nil {
			return nil, errors.New("it has a name twice")
		}
		v, err := readValue(d, depth)
		if err != nil {
			return nil, err
		}
		object.Insert(key, v)
	}
	_, err := d.Token()
	return ast.NewTerm(object), err
}
