package foreign

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

func newSource() *property.Source {
	x := &exchange.Exchange{Conn: &exchange.Conn{ID: 7}}
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target, r.Version, r.Length = "GET", "https", "site.example.com", "/a?b=c", exchange.HTTP2, 5
	r.Header.Add("X-User", "7")
	r.Header.Add("Accept", "a")
	r.Header.Add("accept", "b")
	x.Began, x.Now = exchange.Clock(), exchange.Clock()
	return &property.Source{Plugin: &property.Plugin{Name: "policy", RootID: "root"}, Exchange: x}
}

// want calls a function and compares what it returns.
func want(t *testing.T, f *Functions, s *property.Source, name string, args []byte, status Status, result string) []byte {
	t.Helper()
	got, code := f.Call(name, args, s)
	if code != status || string(got) != result {
		t.Errorf("%s(%.60q): got %q, status %d, want %q, %d", name, args, got, code, result, status)
	}
	return got
}

func TestUnknownFunction(t *testing.T) {
	for _, name := range []string{"", "resolve_lua", "SIGN"} {
		want(t, new(Functions), newSource(), name, nil, NotFound, "")
	}
}

func TestArgumentsAreBounded(t *testing.T) {
	for name := range functions {
		want(t, new(Functions), newSource(), name, make([]byte, maxArguments+1), BadArgument, "")
	}
}

func TestFilterState(t *testing.T) {
	f, s := new(Functions), newSource()
	args := appendTrue(appendBytes(appendBytes(nil, 1, []byte("envoy.string")), 2, []byte("v")), 3)
	want(t, f, s, "set_envoy_filter_state", args, OK, "")
	if got, ok := property.Get(nil, "filter_state\x00envoy.string", s); !ok || string(got) != "v" {
		t.Errorf("got %q, %v, want \"v\"", got, ok)
	}
	want(t, f, s, "set_envoy_filter_state", args[:len(args)-1], BadArgument, "")
	s.Exchange = nil
	want(t, f, s, "set_envoy_filter_state", args, BadArgument, "")
}

func TestDeclareProperty(t *testing.T) {
	f, s := new(Functions), newSource()
	args := appendTrue(appendTrue(appendBytes(nil, 1, []byte("peer")), 2), 3) // once, text
	want(t, f, s, "declare_property", args, OK, "")
	want(t, f, s, "declare_property", appendBytes(nil, 1, []byte("peer")), BadArgument, "")
	want(t, f, s, "declare_property", []byte{0xff}, BadArgument, "")
	if err := property.Set("peer", "one", s); err != nil {
		t.Fatal(err)
	}
	if err := property.Set("peer", "two", s); !errors.Is(err, exchange.ErrPropertyReadOnly) {
		t.Errorf("got %v, want %v", err, exchange.ErrPropertyReadOnly)
	}
	want(t, f, s, "clear_route_cache", nil, OK, "")
}

func TestCompress(t *testing.T) {
	const text = "Ergo compresses this, this, and this."
	zlibs, err := base64.StdEncoding.DecodeString("eJxzLUrPV0jOzy0oSi0uTi1WKMnILNaBkol5KWCWHgAEVg1T") // of zlib itself
	if err != nil {
		t.Fatal(err)
	}
	f, s := new(Functions), newSource()
	want(t, f, s, "uncompress", zlibs, OK, text)
	want(t, f, s, "uncompress", append(zlibs, "and more"...), OK, text)
	for _, plain := range []string{"", text, strings.Repeat(text, 10_000)} {
		packed, status := f.Call("compress", []byte(plain), s)
		if status != OK || len(packed) > len(plain)/10+60 {
			t.Errorf("%d bytes became %d, status %d", len(plain), len(packed), status)
		}
		want(t, f, s, "uncompress", packed, OK, plain)
	}
	for _, broken := range [][]byte{nil, []byte("text"), zlibs[:20], append(bytes.Clone(zlibs[:len(zlibs)-1]), 0)} {
		want(t, f, s, "uncompress", broken, SerializationFailure, "")
	}
	bomb, _ := f.Call("compress", make([]byte, maxArguments), s)
	if got, status := f.Call("uncompress", bomb, s); status != OK || len(got) != maxArguments {
		t.Errorf("got %d bytes, status %d, want all of the largest there may be", len(got), status)
	}
	var large bytes.Buffer
	w := zlib.NewWriter(&large)
	w.Write(make([]byte, maxArguments+1))
	w.Close()
	want(t, f, s, "uncompress", large.Bytes(), SerializationFailure, "")
}

func FuzzCall(f *testing.F) {
	f.Add("verify_signature", []byte("\x0a\x06sha256"))
	f.Add("sign", []byte("\x0a\x06sha256\x12\x01x"))
	f.Add("compress", []byte("text"))
	f.Add("uncompress", []byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))
	f.Add("set_envoy_filter_state", appendBytes(appendBytes(nil, 1, []byte("a")), 2, []byte("b")))
	f.Add("declare_property", appendTrue(appendBytes(nil, 1, []byte("a")), 2))
	f.Add("expr_evaluate", binary.LittleEndian.AppendUint32(nil, 1))
	for _, tc := range expressions {
		f.Add("expr_create", []byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, name string, args []byte) {
		functions, s := new(Functions), newSource()
		result, status := functions.Call(name, args, s)
		if status != OK && result != nil {
			t.Errorf("status %d has a result", status)
		}
		if name == "expr_create" && status == OK {
			if value, status := functions.Call("expr_evaluate", result, s); len(value) > maxCostBytes || status == NotFound {
				t.Errorf("%q: %d bytes, status %d", args, len(value), status)
			}
		}
	})
}
