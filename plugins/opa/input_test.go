package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

func TestReadPath(t *testing.T) {
	for raw, want := range map[string]struct {
		path     string
		segments string
	}{
		"/": {"/", ""}, "": {"/", ""}, "*": {"*", ""}, "//": {"/", ""},
		"/a": {"/a", "a"}, "/a/": {"/a/", "a"}, "//a///b": {"/a/b", "a b"}, "/%61%20b/c": {"/a b/c", "a b c"},
		"/a+b": {"/a+b", "a+b"}, "/...": {"/...", "..."}, "/%C3%A9": {"/é", "é"},
	} {
		path, segments, err := readPath(raw)
		if err != nil || path != want.path || strings.Join(segments, " ") != want.segments {
			t.Errorf("%q: got %q %q %v, want %q %q", raw, path, segments, err, want.path, want.segments)
		}
	}
	for _, raw := range []string{
		"/.", "/..", "/a/../b", "/%2e%2E/b", "/a/.%2e", "/a%2fb", "/a%5cb", "/a\\b", "/%", "/%4", "/%zz", "/a%00", "/a%0d", "/%7f", "/%ff",
	} {
		if path, _, err := readPath(raw); !errors.Is(err, errPath) {
			t.Errorf("%q: got %q %v, want it to be refused", raw, path, err)
		}
	}
}

func TestReadBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"a": [1, 2.50, "x", null, true], "b": {}}`: `{"a": [1, 2.50, "x", null, true], "b": {}}`, ` 1e2 `: `1e2`, `"\ud83d\ude00"`: `"😀"`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth): strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		got, err := readBody("Application/JSON ; charset=utf-8", []byte(body))
		if err != nil || got.Value.Compare(ast.MustParseTerm(want).Value) != 0 {
			t.Errorf("%s: got %v %v, want %s", body, got, err, want)
		}
	}
	for _, body := range []string{
		"{", `{"a"}`, `{"a": 1, "a": 1}`, `{"a": 1, "\u0061": 1}`, "1 2", "[1,]", "nul", "\"\xff\"", strings.Repeat("[", maxDepth+1), "{} x",
	} {
		if got, err := readBody("application/json", []byte(body)); !errors.Is(err, errBody) {
			t.Errorf("%s: got %v %v, want it to be refused", body, got, err)
		}
	}
	for kind, body := range map[string]string{"text/plain": "{}", "": "{}", "application/json": "", "application/jsonp": "{"} {
		if got, err := readBody(kind, []byte(body)); got != nil || err != nil {
			t.Errorf("%s: got %v %v, want nothing", kind, got, err)
		}
	}
}

// FuzzInput makes documents of whatever a listener could let in: each is valid, says its
// path in one way only, and can be logged.
func FuzzInput(f *testing.F) {
	f.Add("/a/b?c=d&c=%zz", "example.com", "x-a", "b", "application/json", []byte(`{"a": [1, {"b": null}]}`))
	f.Add("//a/%2e%2e/b?%", "\xff", "cookie", "a=\xfe", "a/b+json", []byte(`{"a": 1, "a": 2}`))
	f.Add("*", "", "", "", "application/json", []byte("[[[["))
	maker, err := newInputMaker(&inputConfig{Context: map[string]any{"tier": "edge"}})
	if err != nil {
		f.Fatal(err)
	}
	log := newDecisionLog(&logConfig{Decisions: "all", Mask: []string{"/input/request/body/a/0"}}, nil)
	f.Fuzz(func(t *testing.T, target, host, name, value, kind string, body []byte) {
		r := &plugin.Request{ID: "id", Method: "GET", Scheme: "https", Authority: host, Target: target, Client: "192.0.2.7", Subject: value}
		r.Header.Add(name, value)
		r.Header.Add(name, kind)
		document, err := readBody(kind, body)
		if err != nil {
			if !errors.Is(err, errBody) {
				t.Fatal(err)
			}
			return
		}
		input, err := maker.input(r, document)
		if err != nil {
			if !errors.Is(err, errPath) {
				t.Fatal(err)
			}
			return
		}
		path := string(input.Value.(ast.Object).Get(ast.StringTerm("request")).Value.(ast.Object).Get(ast.StringTerm("path")).Value.(ast.String))
		if !utf8.ValidString(path) || strings.Contains(path, "//") || strings.Contains(path, "/../") || path != "*" && path[0] != '/' {
			t.Errorf("%q: got path %q", target, path)
		}
		line := log.format("id", &record{path: ast.MustParseRef("data.a"), input: input, result: ast.Boolean(true)})
		if !json.Valid(line) || len(line) > maxLine {
			t.Errorf("got a line of %d bytes: %s", len(line), line)
		}
	})
}
