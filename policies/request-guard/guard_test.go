//go:build !wasip1

package main

import (
	"slices"
	"strings"
	"testing"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

func configure(t *testing.T, text string) *guard {
	t.Helper()
	g, err := newGuard([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// status is what the client gets: 200 when the guard lets the request pass.
func status(g *guard, host *guest.Fake) int {
	host.Run(func() { g.request(guest.Request{}) })
	return host.Status
}

func TestPaths(t *testing.T) {
	g := configure(t, `{"path":{"deny":["/.git/*","*.PHP","/a*b*c"]}}`)
	cases := map[string]int{
		"/":                              200,
		"/a/b.html?x=../..":              200,
		"/...":                           200,
		"/.well-known/x":                 200,
		"/a//b":                          200,
		"/100%25":                        200,
		"/%25zz":                         200,
		"/caf%C3%A9":                     200,
		"/a;v=1/b":                       200,
		"/../etc/passwd":                 400,
		"/a/..":                          400,
		"/a/./b":                         400,
		"/a/%2e%2E/b":                    400,
		"/a/%252e%252e/b":                400,
		"/a/..%2fb":                      400,
		"/a/..;x/b":                      400,
		"/a/%2e%2e%3bx/b":                400,
		"/a\\..\\b":                      400,
		"/a%5cb":                         400,
		"/a%255cb":                       400,
		"/a%2fb":                         400,
		"/a%252Fb":                       400,
		"/a%00.html":                     400,
		"/a%0d%0aSet-Cookie:%20x":        400,
		"/%c0%ae%c0%ae/":                 400,
		"/a%":                            400,
		"/a%2":                           400,
		"/a%zz":                          400,
		"/%25252525252525":               400,
		"/.git/config":                   404,
		"/.GIT/config":                   404,
		"/%2egit/config":                 404,
		"/.gitignore":                    200,
		"/x.php":                         404,
		"/x.php/more":                    200,
		"/a1b2c":                         404,
		"/a1c2b":                         200,
		"/x%2ephp?y":                     404,
		"//" + strings.Repeat("a", 5000): 200,
	}
	for target, want := range cases {
		if got := status(g, guest.NewFake("GET", target)); got != want {
			t.Errorf("%.40s: got %d, want %d", target, got, want)
		}
	}
}

func TestLooserAndStricterPaths(t *testing.T) {
	loose := configure(t, `{"path":{"allow_encoded_slash":true}}`)
	strict := configure(t, `{"path":{"allow_empty_segments":false}}`)
	cases := []struct {
		guard  *guard
		target string
		want   int
	}{
		{loose, "/projects/a%2Fb", 200},
		{loose, "/a%2F..%2Fb", 400},
		{strict, "/a/b/", 200},
		{strict, "//a", 400},
		{strict, "/a%2f/b", 400},
	}
	for _, c := range cases {
		if got := status(c.guard, guest.NewFake("GET", c.target)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.target, got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	g := configure(t, `{"methods":["GET","POST"],"hosts":["Example.com","[::1]"],"content_types":["application/json"],
		"max_target_bytes":20,"max_query_parameters":2,"max_header_fields":4,"max_header_bytes":80,
		"max_body_bytes":100,"require_length":true}`)
	host := guest.Field{Name: "Host", Value: "example.com"}
	field := func(name, value string) guest.Field { return guest.Field{Name: name, Value: value} }
	json := field("Content-Type", "Application/JSON; charset=utf-8")
	cases := []struct {
		name, method, target string
		header               []guest.Field
		want                 int
	}{
		{"plain", "GET", "/", nil, 200},
		{"another method", "DELETE", "/", nil, 405},
		{"a method is not its lower case", "get", "/", nil, 405},
		{"longest target", "GET", "/" + strings.Repeat("a", 19), nil, 200},
		{"long target", "GET", "/" + strings.Repeat("a", 20), nil, 414},
		{"parameters", "GET", "/?a&b", nil, 200},
		{"many parameters", "GET", "/?a&b&c", nil, 400},
		{"body", "POST", "/", []guest.Field{json, field("Content-Length", "100")}, 200},
		{"large body", "POST", "/", []guest.Field{json, field("Content-Length", "101")}, 413},
		{"larger second length", "POST", "/", []guest.Field{json, field("Content-Length", "1"), field("content-length", "101")}, 413},
		{"negative length", "POST", "/", []guest.Field{json, field("Content-Length", "-1")}, 400},
		{"length beyond numbers", "POST", "/", []guest.Field{json, field("Content-Length", "99999999999999999999")}, 400},
		{"no length", "POST", "/", []guest.Field{json}, 411},
		{"other type", "POST", "/", []guest.Field{field("Content-Type", "text/xml"), field("Content-Length", "1")}, 415},
		{"no type", "POST", "/", []guest.Field{field("Content-Length", "1")}, 415},
		{"two types", "POST", "/", []guest.Field{json, json, field("Content-Length", "1")}, 415},
		{"empty body without type", "POST", "/", []guest.Field{field("Content-Length", "0")}, 200},
		{"many fields", "GET", "/", []guest.Field{field("a", ""), field("A", ""), field("b", ""), field("c", "")}, 431},
		{"large header", "GET", "/", []guest.Field{field("a", strings.Repeat("x", 70))}, 431},
	}
	for _, c := range cases {
		fake := guest.NewFake(c.method, c.target, append([]guest.Field{host}, c.header...)...)
		if got := status(g, fake); got != c.want {
			t.Errorf("%s: got %d %q, want %d", c.name, got, fake.ResponseBody, c.want)
		}
	}
}

func TestABodyOfUnknownLengthNeedsItsType(t *testing.T) {
	g := configure(t, `{"content_types":["application/json"]}`)
	cases := map[string]int{"POST": 415, "PUT": 415, "PATCH": 415, "GET": 200, "DELETE": 200}
	for method, want := range cases {
		if got := status(g, guest.NewFake(method, "/")); got != want {
			t.Errorf("%s: got %d, want %d", method, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	g := configure(t, `{"hosts":["Example.com","[::1]"]}`)
	cases := map[string]int{
		"example.com": 200, "EXAMPLE.com.:8080": 200, "[::1]:80": 200, "[::1]": 200,
		"": 421, "www.example.com": 421, "example.com.evil": 421, "evil@example.com": 421,
	}
	for host, want := range cases {
		if got := status(g, guest.NewFake("GET", "/", guest.Field{Name: "host", Value: host})); got != want {
			t.Errorf("%q: got %d, want %d", host, got, want)
		}
	}
	if got := status(g, guest.NewFake("GET", "/")); got != 421 {
		t.Errorf("no host: got %d, want 421", got)
	}
}

func TestRefusalTellsTheClientLittleAndTheLogMore(t *testing.T) {
	g := configure(t, `{"methods":["GET","HEAD"]}`)
	fake := guest.NewFake("TRACE", "/")
	if got := status(g, fake); got != 405 {
		t.Fatalf("got %d, want 405", got)
	}
	if got, want := guest.Values(fake.ResponseHeader, "allow"), []string{"GET, HEAD"}; !slices.Equal(got, want) {
		t.Errorf("allow: got %q, want %q", got, want)
	}
	if got, want := fake.Log, []string{`refused with 405: method "TRACE"`}; !slices.Equal(got, want) {
		t.Errorf("log: got %q, want %q", got, want)
	}
	if fake.ResponseBody != "this method is not allowed\n" {
		t.Errorf("body: got %q", fake.ResponseBody)
	}
}

func TestConfigurationsThatCannotBeMeant(t *testing.T) {
	cases := map[string]string{
		`[]`:                        "config: expected an object",
		`{"methods":"GET"}`:         "config.methods: expected a list",
		`{"max_body_bytes":0}`:      "config.max_body_bytes: expected a whole number from 1 to 2147483647",
		`{"path":{"deny":[1]}}`:     "config.path.deny[0]: expected a string",
		`{"path":{"denied":[]}}`:    "config.path.denied: is not a known key",
		`{"metods":[],"hosts":[1]}`: "config.hosts[0]: expected a string\nconfig.metods: is not a known key",
	}
	for text, want := range cases {
		if _, err := newGuard([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "/a/../b", "/%2e%2e%2f", "/%252e", "/a%00", "/..;/", "/%25zz", "/é"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		decoded, problem := pathRules{}.read(path)
		if problem != "" {
			return
		}
		for _, segment := range strings.Split(decoded, "/") {
			if segment == ".." || segment == "." {
				t.Errorf("%q passed, but is read as %q", path, decoded)
			}
		}
		if strings.ContainsAny(decoded, "\\\x00\r\n") {
			t.Errorf("%q passed, but is read as %q", path, decoded)
		}
		if strings.Count(decoded, "/") != strings.Count(path, "/") {
			t.Errorf("%q passed, but has other segments as %q", path, decoded)
		}
	})
}
