package proxywasm

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// inRequest runs f as a guest that has a request's head before it.
func inRequest(t *testing.T, x *exchange.Exchange, f func(g *guest)) carried {
	t.Helper()
	return carry(load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		f(g)
		return 0
	}}), x)
}

func TestReadHeaders(t *testing.T) {
	x := newExchange("GET", "/a?b", exchange.Field{Name: "X-A", Value: "1"}, exchange.Field{Name: "x-a", Value: "2"},
		exchange.Field{Name: "Empty", Value: ""}, exchange.Field{Name: "Raw", Value: "\xff\xfe"})
	inRequest(t, x, func(g *guest) {
		for _, test := range []struct {
			name, want string
			status     status
		}{
			{":method", "GET", statusOK}, {":path", "/a?b", statusOK}, {":authority", "example.com", statusOK},
			{":scheme", "http", statusOK}, {"host", "example.com", statusOK}, {"Host", "example.com", statusOK},
			{"x-a", "1", statusOK}, // the first one, as in Envoy
			{"X-A", "1", statusOK}, {"empty", "", statusOK}, {"raw", "\xff\xfe", statusOK},
			{"missing", "", statusNotFound}, {":status", "", statusNotFound}, {"", "", statusNotFound},
		} {
			if got, st := g.header(mapRequestHeaders, test.name); got != test.want || st != test.status {
				t.Errorf("%q: got %q, status %d, want %q, %d", test.name, got, st, test.want, test.status)
			}
		}
		want := []exchange.Field{
			{Name: ":authority", Value: "example.com"}, {Name: ":path", Value: "/a?b"}, {Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
			{Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"}, {Name: "empty", Value: ""}, {Name: "raw", Value: "\xff\xfe"},
		}
		got := g.pairs(mapRequestHeaders)
		size := 0
		for i := range want {
			size += len(want[i].Name) + len(want[i].Value)
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("pairs: got %q, want %q", got, want)
			}
		}
		if g.call("proxy_get_header_map_size", mapRequestHeaders, out(0)) != statusOK || int(g.number(0)) != size {
			t.Errorf("size: got %d, want %d", g.number(0), size)
		}
	})
}

// An empty value has no place, and the guest is not asked for one: the Go SDK's
// allocator could not give it.
func TestEmptyValueIsNotAllocated(t *testing.T) {
	inRequest(t, newExchange("GET", "/", exchange.Field{Name: "empty", Value: ""}), func(g *guest) {
		g.mod.Memory().WriteUint32Le(uint32(out(0)), 99)
		g.mod.Memory().WriteUint32Le(uint32(out(1)), 99)
		if _, st := g.header(mapRequestHeaders, "empty"); st != statusOK || g.number(0) != 0 || g.number(1) != 0 {
			t.Errorf("status %d, place %d, length %d", st, g.number(0), g.number(1))
		}
	})
}

func TestChangeHeaders(t *testing.T) {
	x := newExchange("GET", "/a", exchange.Field{Name: "X-A", Value: "1"}, exchange.Field{Name: "Keep", Value: "k"},
		exchange.Field{Name: "x-a", Value: "2"}, exchange.Field{Name: "Gone", Value: "g"})
	inRequest(t, x, func(g *guest) {
		for _, test := range []struct {
			function    string
			name, value string
			want        status
		}{
			{"replace", "x-a", "3", statusOK},
			{"add", "X-B", "4", statusOK}, {"add", "x-b", "5", statusOK}, {"add", "x-b", "", statusOK},
			{"replace", ":path", "/b?c=d", statusOK}, {"replace", ":path", "/b c", statusBadArgument}, {"replace", ":path", "b", statusBadArgument},
			{"replace", ":method", "PUT", statusOK}, {"replace", ":method", "CONNECT", statusBadArgument}, {"replace", ":method", "", statusBadArgument},
			{"replace", ":authority", "a.example:81", statusOK}, {"replace", ":authority", "a b", statusBadArgument},
			{"replace", "host", "b.example", statusOK}, {"add", "Host", "c.example", statusOK},
			{"replace", ":scheme", "ftp", statusBadArgument}, {"replace", ":scheme", "https", statusOK},
			{"replace", ":status", "200", statusBadArgument}, {"add", ":other", "1", statusBadArgument},
			{"add", "x-c", "a\r\nx-d: 1", statusBadArgument}, {"add", "x c", "1", statusBadArgument}, {"add", "", "1", statusBadArgument},
			{"add", "x-c", "a\x00b", statusBadArgument}, {"add", "x-c", " a", statusBadArgument},
			{"add", "transfer-encoding", "chunked", statusOK}, {"replace", "connection", "close", statusOK}, // without effect
		} {
			if got := g.call("proxy_"+test.function+"_header_map_value", mapRequestHeaders, test.name, test.value); got != test.want {
				t.Errorf("%s %s=%q: got %d, want %d", test.function, test.name, test.value, got, test.want)
			}
		}
		for name, want := range map[string]status{"GONE": statusOK, "missing": statusOK, ":path": statusOK, "connection": statusOK} {
			if got := g.call("proxy_remove_header_map_value", mapRequestHeaders, name); got != want {
				t.Errorf("remove %s: got %d, want %d", name, got, want)
			}
		}
	})
	r := &x.Request
	if got, want := joined(&r.Header), "X-A=3\nKeep=k\nx-b=4\nx-b=5\nx-b=\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := r.Method+" "+r.Scheme+" "+r.Authority+" "+r.Target, "PUT https c.example /b?c=d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSetPairs(t *testing.T) {
	x := newExchange("GET", "/a", exchange.Field{Name: "Old", Value: "1"}, exchange.Field{Name: "Connection", Value: "x"})
	inRequest(t, x, func(g *guest) {
		set := func(fields ...exchange.Field) status {
			return g.call("proxy_set_header_map_pairs", mapRequestHeaders, string(property.AppendPairs(nil, fields)))
		}
		if got := set(exchange.Field{Name: "Fine", Value: "1"}, exchange.Field{Name: "b", Value: "\n"}); got != statusBadArgument {
			t.Errorf("unsound: got %d", got)
		}
		if got, want := joined(&x.Request.Header), "Old=1\nConnection=x\n"; got != want {
			t.Errorf("after a refusal: got %q, want %q", got, want)
		}
		if got := set(exchange.Field{Name: ":path", Value: "/b"}, exchange.Field{Name: "New", Value: "1"}, exchange.Field{Name: "new", Value: "2"}); got != statusOK {
			t.Errorf("got %d", got)
		}
	})
	if got, want := x.Request.Method+x.Request.Target+"\n"+joined(&x.Request.Header), "GET/b\nConnection=x\nnew=1\nnew=2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// As many and as large as the reference host takes, and no more.
func TestBoundsOfMaps(t *testing.T) {
	x := newExchange("GET", "/")
	inRequest(t, x, func(g *guest) {
		for n := 4; n < maxPairs; n++ {
			if st := g.call("proxy_add_header_map_value", mapRequestHeaders, "a", "b"); st != statusOK {
				t.Fatalf("field %d: got %d", n, st)
			}
		}
		if got := len(g.pairs(mapRequestHeaders)); got != maxPairs {
			t.Errorf("%d pairs", got)
		}
		for _, function := range []string{"proxy_add_header_map_value", "proxy_replace_header_map_value"} {
			if st := g.call(function, mapRequestHeaders, "another", "b"); st != statusBadArgument {
				t.Errorf("%s past %d fields: got %d", function, maxPairs, st)
			}
		}
		if st := g.call("proxy_replace_header_map_value", mapRequestHeaders, "a", "c"); st != statusOK {
			t.Errorf("replace one of many: got %d", st)
		}
		huge := strings.Repeat("h", maxPairBytes-128)
		if st := g.call("proxy_replace_header_map_value", mapRequestHeaders, "a", huge); st != statusOK {
			t.Errorf("a megabyte: got %d", st)
		}
		if value, st := g.header(mapRequestHeaders, "a"); st != statusOK || value != huge {
			t.Errorf("a megabyte read back: %d bytes, status %d", len(value), st)
		}
		if got := g.pairs(mapRequestHeaders); len(got) != 5 {
			t.Errorf("a map of a megabyte has %d pairs", len(got))
		}
		if st := g.call("proxy_add_header_map_value", mapRequestHeaders, "b", strings.Repeat("h", 256)); st != statusBadArgument {
			t.Errorf("past a megabyte: got %d", st)
		}
		if st := g.call("proxy_add_header_map_value", mapRequestHeaders, strings.Repeat("n", maxNameBytes+1), ""); st != statusBadArgument {
			t.Errorf("long name: got %d", st)
		}
	})
}

// Which maps are there in which callback, and which can be changed.
func TestMapsByPlace(t *testing.T) {
	type answers struct{ read, change status }
	got := map[string][4]answers{}
	look := func(name string, result uint32) func(*guest, []uint32) uint32 {
		return func(g *guest, _ []uint32) uint32 {
			var all [4]answers
			for kind := range all {
				_, all[kind].read = g.header(kind, "here")
				all[kind].change = g.call("proxy_replace_header_map_value", kind, "there", "1")
			}
			got[name] = all
			return result
		}
	}
	s := script{}
	for _, name := range puppetCallbacks {
		s[name] = look(name, 0)
	}
	delete(s, "context_create")
	s["vm_start"], s["configure"], s["done"] = look("vm_start", 1), look("configure", 1), look("done", 1)
	here := exchange.Field{Name: "here", Value: "1"}
	x := withBody(newExchange("POST", "/", here), "a")
	x.Request.Trailer.Add("here", "1")
	p := load(t, s)
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(x.Request.Body); err != nil {
		t.Fatal(err)
	}
	respondWith(x, "a")
	x.Response.Header.Add("here", "1")
	x.Response.Trailer.Add("here", "1")
	if err := p.OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(x.Response.Body); err != nil {
		t.Fatal(err)
	}
	p.OnDone(i, x)
	p.Release(i)

	no, yes, read := answers{statusBadArgument, statusBadArgument}, answers{statusOK, statusOK}, answers{statusOK, statusBadArgument}
	want := map[string][4]answers{
		"vm_start": {no, no, no, no}, "configure": {no, no, no, no},
		"request_headers":   {yes, no, no, no},
		"request_body":      {no, yes, no, no}, // the last piece
		"request_trailers":  {no, yes, no, no},
		"response_headers":  {read, no, yes, no},
		"response_body":     {read, no, no, yes},
		"response_trailers": {read, no, no, yes},
		"done":              {read, read, read, read},
		"log":               {read, read, read, read},
		"delete":            {read, read, read, read},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: got %v, want %v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d callbacks, want %d", len(got), len(want))
	}
}

// A map that is not there is an empty one as a whole, as in Envoy.
func TestPairsOfNoMap(t *testing.T) {
	inRequest(t, newExchange("GET", "/"), func(g *guest) {
		for _, kind := range []int{mapResponseHeaders, mapResponseTrailers, mapCallResponseHeaders, 8, 1 << 20} {
			if got := g.pairs(kind); got != nil {
				t.Errorf("map %d: got %q", kind, got)
			}
		}
	})
}

func TestResponseStatus(t *testing.T) {
	x := newExchange("GET", "/")
	carry(load(t, script{"response_headers": func(g *guest, _ []uint32) uint32 {
		if got, _ := g.header(mapResponseHeaders, ":status"); got != "200" {
			t.Errorf("got %q", got)
		}
		for value, want := range map[string]status{"404": statusOK, "99": statusBadArgument, "101": statusBadArgument, "600": statusBadArgument, "+20": statusBadArgument, "": statusBadArgument} {
			if got := g.call("proxy_replace_header_map_value", mapResponseHeaders, ":status", value); got != want {
				t.Errorf("%q: got %d, want %d", value, got, want)
			}
		}
		return 0
	}}), x, "a")
	if x.Response.Status != 404 {
		t.Errorf("got %d", x.Response.Status)
	}
}
