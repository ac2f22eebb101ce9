package policies

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

// fieldVector is a line of the table in field-crypt's README.md.
type fieldVector struct{ id, field, context, value, token string }

// fieldVectors reads them from the table.
func fieldVectors(t *testing.T) []fieldVector {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("field-crypt", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []fieldVector
	line := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| (?:`([^`]+)`)? ?\\| `([^`]+)` \\| `(\"efc1:[^`]+)` \\|$")
	for _, m := range line.FindAllStringSubmatch(string(page), -1) {
		vectors = append(vectors, fieldVector{m[1], m[2], m[3], m[4], m[5]})
	}
	if len(vectors) < 5 {
		t.Fatalf("the README has only %d vectors", len(vectors))
	}
	return vectors
}

// Another implementation makes the same of the README's vectors, and the policy takes
// them. What the policy makes, the other one takes.
func TestFieldCryptVectors(t *testing.T) {
	data, older, search := peers(t)
	s := newSuite(t, "field-crypt")
	for _, v := range fieldVectors(t) {
		var context []string
		source, value, bound2 := strings.Cut(v.context, "=")
		if bound2 {
			context = []string{source, value}
		}
		at := slices.IndexFunc([]peer{data, older, search}, func(p peer) bool { return p.id == v.id })
		p := []peer{data, older, search}[at]
		var nonce []byte
		field := map[string]any{"path": "$.x", "name": v.field}
		if p.id == search.id {
			field["key"], field["deterministic"] = "search", true
		} else {
			nonce = []byte(strings.Repeat("\x11", 24))
		}
		if got := p.encrypt(v.value, nonce, bound(v.field, context...)); got != v.token {
			t.Errorf("%s: the other implementation makes %s", v.token, got)
		}
		config := map[string]any{
			"key": "data", "request": map[string]any{"encrypt": []any{field}}, "response": map[string]any{"decrypt": []any{field}},
		}
		header := "content-type: application/json\n"
		if bound2 {
			config["context"] = []any{source}
			header += strings.TrimPrefix(source, "header:") + ": " + value + "\n"
		}
		line := s.Alone(t, s.Load(t, v.token, config))
		sent, got, err := across(line, header, []string{`{"x":` + v.value + `}`}, []string{`{"x":` + v.token + `}`})
		if err != nil || got != `{"x":`+v.value+`}` {
			t.Errorf("%s: got %s, %v, want %s", v.token, got, err, v.value)
		}
		token := strings.TrimSuffix(strings.TrimPrefix(sent, `{"x":`), "}")
		switch {
		case p.id == search.id && token != v.token:
			t.Errorf("the policy makes %s, want %s", token, v.token)
		case p.id != search.id:
			if got, err := data.decrypt(token, bound(v.field, context...)); got != v.value || err != nil {
				t.Errorf("the other implementation makes %q of %s, %v", got, token, err)
			}
		}
	}
}

// across takes an exchange of which both bodies come in pieces through a tier, and
// returns what the upstream got, and the client.
func across(line *tier.Tier, header string, request, response []string) (sent, got string, err error) {
	x := &exchange.Exchange{ID: "pieces", Conn: &exchange.Conn{}}
	return acrossAs(line, x, header, request, response)
}

// acrossAs is across for an exchange of which something is known.
func acrossAs(line *tier.Tier, x *exchange.Exchange, header string, request, response []string) (sent, got string, err error) {
	x.Request = exchange.Request{
		Method: "POST", Scheme: "https", Authority: "example.com", Target: "/", Version: exchange.HTTP11,
		Body: &inPieces{pieces: request}, Length: exchange.UnknownLength,
	}
	addLines(&x.Request.Header, header)
	walk := new(tier.Walk)
	if f := line.Enter(x); f != nil {
		return "", "", f
	}
	defer line.Leave(x)
	defer line.Done(walk, x)
	answered, f := line.Request(walk, x)
	switch {
	case f != nil:
		return "", "", f
	case answered:
		return "", "", fmt.Errorf("answered with %d", x.Response.Status)
	}
	body, err := io.ReadAll(x.Request.Body)
	sent = string(body)
	x.Route.Sent = true
	if err != nil {
		x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: 400, Err: err})
	} else {
		x.Response.Status, x.Response.Version = 200, exchange.HTTP11
		x.Response.Header.Add("content-type", "application/json")
		x.Response.Body, x.Response.Length = &inPieces{pieces: response}, exchange.UnknownLength
	}
	line.Response(walk, x)
	if x.Response.Status != 200 {
		return sent, "", fmt.Errorf("answered with %d", x.Response.Status)
	}
	body, err = io.ReadAll(x.Response.Body)
	return sent, string(body), err
}

// inPieces is a body that comes as it is cut.
type inPieces struct{ pieces []string }

func (p *inPieces) Read(to []byte) (int, error) {
	if len(p.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(to, p.pieces[0])
	if p.pieces[0] = p.pieces[0][n:]; p.pieces[0] == "" {
		p.pieces = p.pieces[1:]
	}
	return n, nil
}

func (p *inPieces) Close() error { return nil }

// Wherever a body is cut, the same comes of it, held or not.
func TestFieldCryptPieces(t *testing.T) {
	_, _, search := peers(t)
	s := newSuite(t, "field-crypt")
	secret := search.encrypt(`{"n":[1.50,"\u00e9"]}`, nil, bound("secret"))
	plain := "{ \"a\" : [ 1E400, \"\\ud83d\\ude00é\" ],\r\n\t\"secre\\u0074\": {\"n\":[1.50,\"\\u00e9\"]},\"secrets\":{\"n\":1}, \"b\":-0.0 }\n"
	sealed := strings.Replace(plain, `{"n":[1.50,"\u00e9"]}`, secret, 1)
	for _, hold := range []int{0, 20, 1 << 16} {
		field := []any{map[string]any{"path": "$..secret", "name": "secret", "deterministic": true}}
		line := s.Alone(t, s.Load(t, fmt.Sprint(hold), map[string]any{
			"key":      "search",
			"request":  map[string]any{"encrypt": field, "hold": hold},
			"response": map[string]any{"decrypt": field, "hold": hold},
		}))
		for at := range len(plain) {
			sent, got, err := across(line, "content-type: application/json\n", cut(plain, at), cut(sealed, at))
			if sent != sealed || got != plain || err != nil {
				t.Fatalf("held up to %d, cut at %d: sent %s\ngot %s, %v", hold, at, sent, got, err)
			}
		}
		for _, size := range []int{1, 2, 7} {
			sent, got, err := across(line, "content-type: application/json\n", chunks(plain, size), chunks(sealed, size))
			if sent != sealed || got != plain || err != nil {
				t.Fatalf("held up to %d, in pieces of %d: sent %s\ngot %s, %v", hold, size, sent, got, err)
			}
		}
	}
}

func cut(s string, at int) []string {
	return slices.DeleteFunc([]string{s[:at], s[at:]}, func(s string) bool { return s == "" })
}

func chunks(s string, size int) []string {
	var pieces []string
	for chunk := range slices.Chunk([]byte(s), size) {
		pieces = append(pieces, string(chunk))
	}
	return pieces
}

// A value that was made for one client, tenant, host or path is refused from others.
func TestFieldCryptBindsValues(t *testing.T) {
	s := newSuite(t, "field-crypt")
	alice := func() *exchange.Exchange {
		x := &exchange.Exchange{ID: "bound", Conn: &exchange.Conn{}}
		x.Identity.Subject, x.Identity.Attributes = "alice", []exchange.Attribute{{Name: "group", Value: "dev"}}
		return x
	}
	cases := []struct {
		name    string
		context []any
		change  func(x *exchange.Exchange)
		header  string
	}{
		{"subject", []any{"subject"}, func(x *exchange.Exchange) { x.Identity.Subject = "mallory" }, ""},
		{"attribute", []any{"attribute:group"}, func(x *exchange.Exchange) { x.Identity.Attributes[0].Value = "ops" }, ""},
		{"header", []any{"header:x-tenant"}, nil, "x-tenant: green\n"},
		{"a header that says what a subject is", []any{"header:x-tenant", "subject"},
			func(x *exchange.Exchange) { x.Identity.Subject = "blue" }, "x-tenant: alice\n"},
	}
	const header = "content-type: application/json\n"
	for _, c := range cases {
		fields := []any{"$.a"}
		seal := s.Alone(t, s.Load(t, c.name, map[string]any{
			"key": "data", "context": c.context, "request": map[string]any{"encrypt": fields}}))
		open := s.Alone(t, s.Load(t, c.name, map[string]any{
			"key": "data", "context": c.context, "request": map[string]any{"decrypt": fields}}))
		sealed, _, err := acrossAs(seal, alice(), header+"x-tenant: blue\n", []string{`{"a":1}`}, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if sent, _, err := acrossAs(open, alice(), header+"x-tenant: blue\n", []string{sealed}, nil); sent != `{"a":1}` || err != nil {
			t.Errorf("%s: its own client: got %s, %v", c.name, sent, err)
		}
		other, fieldsOfOther := alice(), "x-tenant: blue\n"
		if c.change != nil {
			c.change(other)
		}
		if c.header != "" {
			fieldsOfOther = c.header
		}
		if sent, _, err := acrossAs(open, other, header+fieldsOfOther, []string{sealed}, nil); err == nil || sent != "" {
			t.Errorf("%s: another client: got %s, %v, want it refused", c.name, sent, err)
		}
	}
}

// BenchmarkFieldCrypt is a document of 1 MiB on its way to the upstream, in pieces of
// 16 KiB, with a value to encrypt in none, or in each, of its kilobytes.
func BenchmarkFieldCrypt(b *testing.B) {
	for _, name := range []string{"none", "each"} {
		b.Run(name, func(b *testing.B) {
			row := `{"n": 1.50E+3, "pad":"` + strings.Repeat("x", 980) + `", "` + name + `":"4929"},`
			document := chunks("["+strings.Repeat(row, 1024)+"null]", 16<<10)
			s := newSuite(b, "field-crypt")
			line := s.Alone(b, s.Load(b, name, map[string]any{
				"key": "data", "request": map[string]any{"encrypt": []any{"$[*].each"}},
			}))
			b.SetBytes(1 << 20)
			for b.Loop() {
				if _, _, err := across(line, "content-type: application/json\n", slices.Clone(document), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
