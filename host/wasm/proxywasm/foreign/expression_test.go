package foreign

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

func le(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func pairs(names ...string) string {
	var all []exchange.Field
	for _, name := range names {
		key, value, _ := strings.Cut(name, "=")
		all = append(all, exchange.Field{Name: key, Value: value})
	}
	return string(property.AppendPairs(nil, all))
}

// expressions over the exchange of newSource.
var expressions = []struct {
	text   string
	status Status // of the evaluation
	result string
}{
	{`request.method`, OK, "GET"},
	{`request.path.startsWith("/a") && request.headers["x-user"] == "7"`, OK, "\x01"},
	{`request.headers["X-User"]`, OK, "7"},
	{`request.headers.accept`, OK, "a,b"},
	{`request.headers[":authority"]`, OK, "site.example.com"},
	{`"x-user" in request.headers`, OK, "\x01"},
	{`request.headers.exists(name, name == "accept")`, OK, "\x01"},
	{`size(request.headers)`, OK, le(6)},
	{`has(request.headers.nothing)`, OK, "\x00"},
	{`has(request.nothing)`, OK, "\x00"},
	{`"path" in request`, OK, "\x01"},
	{`request["path"]`, OK, "/a?b=c"},
	{`request["headers\u0000x-user"]`, InternalFailure, ""},
	{`request.size + 1`, OK, le(6)},
	{`connection.id == 7u`, OK, "\x01"},
	{`connection.mtls`, OK, "\x00"},
	{`plugin_root_id`, OK, "root"},
	{`type(request.time) == type(timestamp("2026-01-01T00:00:00Z")) && request.time > timestamp("2020-01-01T00:00:00Z")`, OK, "\x01"},
	{`timestamp("1970-01-01T00:00:01Z")`, OK, le(1e9)},
	{`duration("1.5s")`, OK, le(1.5e9)},
	{`-1`, OK, le(math.MaxUint64)},
	{`2u`, OK, le(2)},
	{`1.5`, OK, le(math.Float64bits(1.5))},
	{`b"\xff"`, OK, "\xff"},
	{`["a", "b"]`, OK, pairs("a", "b")},
	{`{"a": "b"}`, OK, pairs("a=b")},
	{`[["a"]]`, OK, pairs(pairs("a"))},
	{`request`, OK, pairs()},
	{`user == b"7"`, OK, "\x01"}, // set by a guest
	{`filter_state["wasm.user"]`, InternalFailure, ""},
	{`nothing`, InternalFailure, ""},
	{`response.code`, InternalFailure, ""},
	{`request.method + 1`, InternalFailure, ""},
	{`1 / 0`, InternalFailure, ""},
	{`null`, SerializationFailure, ""},
	{`[null]`, SerializationFailure, ""},
	{`{"a": null}`, SerializationFailure, ""},
	{`type(1)`, SerializationFailure, ""},
}

func TestExpressions(t *testing.T) {
	f, s := new(Functions), newSource()
	if err := property.Set("user", "7", s); err != nil {
		t.Fatal(err)
	}
	for _, tc := range expressions {
		token, status := f.Call("expr_create", []byte(tc.text), s)
		if status != OK || len(token) != 4 {
			t.Errorf("create %s: %q, status %d", tc.text, token, status)
			continue
		}
		got, status := f.Call("expr_evaluate", token, s)
		if status != tc.status || string(got) != tc.result {
			t.Errorf("%s: got %q, status %d, want %q, %d", tc.text, got, status, tc.result, tc.status)
		}
	}
}

func TestExpressionsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "request.", "1 +", "\xff", "f(", `"`, strings.Repeat("1+", 2000) + "1", strings.Repeat("(", 1000), strings.Repeat("[", 500) + strings.Repeat("]", 500),
		"1" + strings.Repeat(" ", maxExpressionBytes),
	} {
		want(t, new(Functions), newSource(), "expr_create", []byte(text), BadArgument, "")
	}
}

// What an expression is of, it is when it is evaluated.
func TestExpressionIsOfTheExchangeAtHand(t *testing.T) {
	f, first, second := new(Functions), newSource(), newSource()
	second.Exchange.Request.Method = "POST"
	token, _ := f.Call("expr_create", []byte("request.method"), &property.Source{Plugin: first.Plugin})
	want(t, f, first, "expr_evaluate", token, OK, "GET")
	want(t, f, second, "expr_evaluate", token, OK, "POST")
	want(t, f, &property.Source{Plugin: first.Plugin}, "expr_evaluate", token, InternalFailure, "")
}

func TestTokens(t *testing.T) {
	f, s := new(Functions), newSource()
	one, _ := f.Call("expr_create", []byte("1"), s)
	two, _ := f.Call("expr_create", []byte("2"), s)
	if string(one) == string(two) {
		t.Errorf("two expressions have the token %q", one)
	}
	want(t, f, s, "expr_create", []byte("1"), OK, string(one))
	for _, args := range []string{"", "abc", "abcde"} {
		want(t, f, s, "expr_evaluate", []byte(args), BadArgument, "")
		want(t, f, s, "expr_delete", []byte(args), BadArgument, "")
	}
	want(t, f, s, "expr_evaluate", []byte{9, 0, 0, 0}, NotFound, "")
	want(t, f, s, "expr_delete", []byte{9, 0, 0, 0}, OK, "")
	want(t, new(Functions), s, "expr_evaluate", one, NotFound, "") // another policy's
}

// An expression that an instance has deleted may be another's still: it goes when
// its place is needed, the one first that was not used for the longest.
func TestDeletedExpressionsMakeRoom(t *testing.T) {
	f, s := new(Functions), newSource()
	tokens := make([][]byte, maxExpressions)
	for i := range tokens {
		tokens[i], _ = f.Call("expr_create", fmt.Append(nil, i), s)
	}
	want(t, f, s, "expr_create", []byte("-1"), InternalFailure, "")
	for _, i := range []int{3, 4, 5} {
		want(t, f, s, "expr_delete", tokens[i], OK, "")
	}
	want(t, f, s, "expr_evaluate", tokens[3], OK, le(3))
	want(t, f, s, "expr_create", []byte("5"), OK, string(tokens[5])) // is needed again
	for _, text := range []string{"-1", "-2"} {
		if _, status := f.Call("expr_create", []byte(text), s); status != OK {
			t.Errorf("create %s: status %d", text, status)
		}
	}
	want(t, f, s, "expr_create", []byte("-3"), InternalFailure, "")
	want(t, f, s, "expr_evaluate", tokens[4], NotFound, "")
	want(t, f, s, "expr_evaluate", tokens[3], NotFound, "")
	want(t, f, s, "expr_evaluate", tokens[5], OK, le(5))
}

// What is small as a text, and large when it is evaluated, is given up.
func TestExpressionsAreBounded(t *testing.T) {
	f, s := new(Functions), newSource()
	loop := func(depth int) string {
		text := "true"
		for range depth {
			text = "[1,2,3,4,5,6,7,8,9,10].all(a, " + text + ")"
		}
		return text
	}
	double := func(first, step string) string { return first + strings.Repeat(step, 40) }
	for text, status := range map[string]Status{
		loop(6): InternalFailure,
		double(`["`+strings.Repeat("a", 100)+`"]`, ".map(a,a+a)"):              InternalFailure,
		double("[1]", ".map(a,[a,a])"):                                         InternalFailure,
		double("[1]", ".map(a,[a,a])") + "==" + double("[1]", ".map(a,[a,a])"): InternalFailure,
		"[1]" + strings.Repeat(".map(a,[a,a])", 14):                            SerializationFailure,
	} {
		token, created := f.Call("expr_create", []byte(text), s)
		if created != OK {
			t.Errorf("create %.30s: status %d", text, created)
			continue
		}
		want(t, f, s, "expr_evaluate", token, status, "")
	}
}

func TestHammerExpressions(t *testing.T) {
	f := new(Functions)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := newSource()
			s.Exchange.Conn = &exchange.Conn{ID: uint64(i)}
			for j := range 50 {
				token, status := f.Call("expr_create", fmt.Appendf(nil, "connection.id + %du", j%4), s)
				if status != OK {
					t.Errorf("create: status %d", status)
				}
				if got, status := f.Call("expr_evaluate", token, s); status != OK || string(got) != le(uint64(i+j%4)) {
					t.Errorf("got %q, status %d, want %d", got, status, i+j%4)
				}
				f.Call("expr_delete", token, s)
			}
		})
	}
	all.Wait()
}

func BenchmarkEvaluate(b *testing.B) {
	f, s := new(Functions), newSource()
	token, _ := f.Call("expr_create", []byte(`request.path.startsWith("/a") && request.headers["x-user"] == "7"`), s)
	b.ReportAllocs()
	for b.Loop() {
		f.Call("expr_evaluate", token, s)
	}
}
