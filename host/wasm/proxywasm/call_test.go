package proxywasm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// calling grants a policy calls to some origins.
func calling(t testing.TB, origins ...string) func(*policy.Spec) {
	client := outbound.New(outbound.Config{
		Policy: "puppet", Hosts: origins, Methods: []string{"GET", "POST"},
		Internal:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RequestBytes: 1000, ResponseBytes: 1000, Timeout: 10 * time.Second, Concurrent: 4,
	}, outbound.Options{})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(s *policy.Spec) { s.Granted.HTTP = client }
}

// head is the map of a call, with what it must have in front.
func head(fields ...exchange.Field) string {
	return string(property.AppendPairs(nil, append([]exchange.Field{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/path?q"}, {Name: ":authority", Value: "a.example"},
	}, fields...)))
}

const noPairs = "\x00\x00\x00\x00"

// ask begins a call and returns its token.
func (g *guest) ask(target string) uint32 {
	if st := g.call("proxy_http_call", target, head(), "", noPairs, 0, out(5)); st != statusOK {
		panic(fmt.Errorf("proxy_http_call: status %d", st))
	}
	return g.number(5)
}

// status reads what proxy_get_status tells.
func (g *guest) lastStatus() string {
	if st := g.call("proxy_get_status", out(6), out(7), out(8)); st != statusOK {
		panic(fmt.Errorf("proxy_get_status: status %d", st))
	}
	return fmt.Sprint(g.number(6), " ", g.result(7))
}

// A stream waits for a call, and the guest finds the whole response while it is
// told of it, and not afterwards.
func TestHTTPCall(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Tail")
		w.Header().Set("X-Seen", strings.Join(r.Header["X-Call"], ","))
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.RequestURI, r.Host, body, r.Trailer.Get("X-Up"))
		w.Header().Set("X-Tail", "t")
	}))
	var stream, token uint32
	var told string
	p := load(t, script{
		"request_headers": func(g *guest, args []uint32) uint32 {
			stream = args[0]
			fields := head(exchange.Field{Name: ":scheme", Value: "https"}, exchange.Field{Name: "x-call", Value: "1"}, exchange.Field{Name: "x-call", Value: "2"})
			if st := g.call("proxy_http_call", backend.Addr, fields, "body", string(property.AppendPairs(nil, []exchange.Field{{Name: "x-up", Value: "u"}})), 5000, out(5)); st != statusOK {
				t.Errorf("proxy_http_call: status %d", st)
			}
			token = g.number(5)
			if _, st := g.buffer(bufferCallResponseBody); st != statusNotFound {
				t.Errorf("a body before there is a response: status %d", st)
			}
			return uint32(actionPause)
		},
		"http_call_response": func(g *guest, args []uint32) uint32 {
			body, _ := g.buffer(bufferCallResponseBody)
			code, _ := g.header(mapCallResponseHeaders, ":status")
			seen, _ := g.header(mapCallResponseHeaders, "x-seen")
			pairs := g.pairs(mapCallResponseHeaders)
			told = fmt.Sprint(code, " ", seen, " ", body, " ", g.pairs(mapCallResponseTrailers))
			if args[0] != rootID || args[1] != token || int(args[2]) != len(pairs) || int(args[3]) != len(body) || args[4] != 1 || pairs[0].Name != ":status" {
				t.Errorf("told %v of %q and %q, token %d", args, pairs, body, token)
			}
			if st := g.call("proxy_replace_header_map_value", mapCallResponseHeaders, "x-seen", "other"); st != statusBadArgument {
				t.Errorf("a change of the response: status %d", st)
			}
			if _, st := g.header(mapGRPCInitialMetadata, "x-seen"); st != statusBadArgument {
				t.Errorf("metadata of no gRPC: status %d", st)
			}
			if st := g.call("proxy_set_effective_context", stream); st != statusOK {
				t.Errorf("proxy_set_effective_context: status %d", st)
			}
			if again, _ := g.buffer(bufferCallResponseBody); again != body {
				t.Errorf("the body is %q on the stream's context", again)
			}
			g.call("proxy_add_header_map_value", mapRequestHeaders, "x-called", "yes")
			g.call("proxy_continue_stream", request)
			return 0
		},
		"response_headers": func(g *guest, _ []uint32) uint32 {
			if got := g.pairs(mapCallResponseHeaders); got != nil {
				t.Errorf("the response of a call is still there: %q", got)
			}
			return 0
		},
	}, calling(t, backend.URL))
	x := newExchange("GET", "/")
	if c := carry(p, x); c.requestErr != nil || c.responseErr != nil {
		t.Fatalf("got %+v", c)
	}
	if want := "418 1,2 POST /path?q " + backend.Addr + " body u [{x-tail t}]"; told != want {
		t.Errorf("got %q, want %q", told, want)
	}
	if x.Request.Header.Value("x-called") != "yes" {
		t.Error("the stream was not changed by the callback")
	}
	if v := p.vms[0]; len(v.calls) != 0 || v.underWay.Load() != 0 || v.arrived != nil {
		t.Errorf("%d calls are left, %d under way", len(v.calls), v.underWay.Load())
	}
}

func TestHTTPCallIsRefused(t *testing.T) {
	var results []string
	try := func(g *guest, name string, args ...any) {
		results = append(results, fmt.Sprint(name, " ", g.call("proxy_http_call", args...)))
	}
	lacking := func(i int) string {
		list := parsePairs([]byte(head()))
		return string(property.AppendPairs(nil, slices.Delete(list, i, i+1)))
	}
	with := func(i int, value string) string {
		list := parsePairs([]byte(head()))
		list[i].Value = value
		return string(property.AppendPairs(nil, list))
	}
	const origin = "http://127.0.0.1:1"
	p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
		try(g, "unknown", "other", head(), "", noPairs, 0, out(5))
		try(g, "no method", origin, lacking(0), "", noPairs, 0, out(5))
		try(g, "no path", origin, lacking(1), "", noPairs, 0, out(5))
		try(g, "no authority", origin, lacking(2), "", noPairs, 0, out(5))
		try(g, "no map", origin, "", "", noPairs, 0, out(5))
		try(g, "method", origin, with(0, "DELETE"), "", noPairs, 0, out(5))
		try(g, "path", origin, with(1, "@evil.example/"), "", noPairs, 0, out(5))
		try(g, "port", origin, with(1, "2/"), "", noPairs, 0, out(5))
		try(g, "field", origin, head(exchange.Field{Name: "a b", Value: ""}), "", noPairs, 0, out(5))
		try(g, "timeout", origin, head(), "", noPairs, -1, out(5))
		try(g, "large", origin, head(), strings.Repeat("x", 1001), noPairs, 0, out(5))
		try(g, "place", origin, head(), "", noPairs, 0, -1)
		for range 4 {
			try(g, "ok", "http://127.0.0.1:2", head(), "", noPairs, 0, out(5))
		}
		try(g, "busy", "http://127.0.0.1:2", head(), "", noPairs, 0, out(5))
		return 0
	}), calling(t, origin, "http://127.0.0.1:2"))
	carry(p, newExchange("GET", "/"))
	want := `unknown 2
no method 2
no path 2
no authority 2
no map 2
method 2
path 2
port 2
field 2
timeout 2
large 2
place 6
ok 0
ok 0
ok 0
ok 0
busy 10`
	if got := strings.Join(results, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHTTPCallWithoutAGrant(t *testing.T) {
	p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
		if st := g.call("proxy_http_call", "http://127.0.0.1:1", head(), "", noPairs, 0, out(5)); st != statusBadArgument {
			t.Errorf("proxy_http_call: status %d", st)
		}
		if st := g.call("proxy_grpc_stream", "http://127.0.0.1:1", "s", "m", noPairs, out(5)); st != statusParseFailure {
			t.Errorf("proxy_grpc_stream: status %d", st)
		}
		return 0
	}))
	if c := carry(p, newExchange("GET", "/")); c.requestErr != nil {
		t.Error(c.requestErr)
	}
}

func TestHTTPCallThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	told := make(chan string, 1)
	p := load(t, script{
		"request_headers": func(g *guest, _ []uint32) uint32 { g.ask(url); return 0 },
		"http_call_response": func(g *guest, args []uint32) uint32 {
			_, st := g.buffer(bufferCallResponseBody)
			told <- fmt.Sprint(args[2:], " ", st, " ", g.pairs(mapCallResponseHeaders), " ", g.lastStatus())
			return 0
		},
	}, calling(t, url))
	carry(p, newExchange("GET", "/"))
	if got, want := <-told, "[0 0 0] 1 [] 9 reset"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A call that a stream makes at its end is answered although the stream is gone, and
// what the guest does to it then has no effect.
func TestHTTPCallOutlivesItsStream(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	told := make(chan uint32, 2)
	p := load(t, script{
		"log": func(g *guest, _ []uint32) uint32 { g.ask(backend.URL); return 0 },
		"http_call_response": func(g *guest, args []uint32) uint32 {
			g.call("proxy_set_effective_context", 2)
			if st := g.call("proxy_continue_stream", request); st != statusOK {
				t.Errorf("proxy_continue_stream: status %d", st)
			}
			told <- args[2]
			return 0
		},
	}, calling(t, backend.URL))
	carry(p, newExchange("GET", "/"))
	<-arrived
	p.Trim()
	p.Trim()
	close(release)
	if n := <-told; n == 0 {
		t.Error("the call failed")
	}
	if len(p.vms) != 1 {
		t.Errorf("%d instances, want 1", len(p.vms))
	}
}

// An instance that waits for a call is not trimmed, one that does not is.
func TestTrimWaitsForCalls(t *testing.T) {
	release := make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	p := load(t, in("context_create", func(g *guest, args []uint32) uint32 {
		if args[1] != 0 {
			g.ask(backend.URL)
		}
		return 0
	}), calling(t, backend.URL))
	x := newExchange("GET", "/")
	busy, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	p.vms[0].held <- struct{}{} // so that the next exchange has another
	carry(p, newExchange("GET", "/"))
	<-p.vms[0].held
	p.Release(busy)
	if len(p.vms) != 2 {
		t.Fatalf("%d instances, want 2", len(p.vms))
	}
	count := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.vms)
	}
	waits := func() (n int32) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, v := range p.vms {
			n += v.underWay.Load()
		}
		return n
	}
	p.Trim()
	p.Trim()
	if waits() != 1 {
		t.Errorf("%d calls are under way, want 1", waits())
	}
	close(release)
	hosttest.Eventually(t, func() bool { return waits() == 0 }, "the call is answered")
	p.Trim()
	p.Trim()
	hosttest.Eventually(t, func() bool { return count() == 1 }, "all but one instance end")
}

// What is under way ends with the instance, however that ends, and nothing is
// delivered any more.
func TestCallsEndWithTheirInstance(t *testing.T) {
	for _, trap := range []bool{true, false} {
		gone, arrived := make(chan struct{}), make(chan struct{})
		backend := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
			close(gone)
		}))
		p, err := tryLoad(t, script{
			"request_headers": func(g *guest, _ []uint32) uint32 { g.ask(backend.URL); return 0 },
			"response_headers": func(g *guest, _ []uint32) uint32 {
				<-arrived
				if trap {
					panic(fmt.Errorf("told to trap"))
				}
				return 0
			},
			"http_call_response": func(*guest, []uint32) uint32 { t.Error("a call of an instance that is gone is answered"); return 0 },
		}, calling(t, backend.URL))
		if err != nil {
			t.Fatal(err)
		}
		c := carry(p.(*Policy), newExchange("GET", "/"))
		if (c.responseErr != nil) != trap {
			t.Errorf("got %v", c.responseErr)
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		<-gone
	}
}

// clusterOf and targetOf make Envoy's GrpcService.
func clusterOf(name, authority string) string {
	inner := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), authority)
	timeout := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), []byte{8, 5})
	return string(append(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner), timeout...))
}

func targetOf(uri string) string {
	inner := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), uri)
	return string(protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), inner))
}

func TestGRPCService(t *testing.T) {
	for _, c := range []struct {
		in, target, authority string
		ok                    bool
	}{
		{clusterOf("users", ""), "users", "", true},
		{clusterOf("users", "a.example"), "users", "a.example", true},
		{targetOf("dns:///a.example:443"), "dns:///a.example:443", "", true},
		{"", "", "", false},
		{"\x0a", "", "", false},
		{"\x0a\xff\xff\xff\xff\x0f", "", "", false},
		{"\x0a\x02\x0a\x05", "", "", false},
		{clusterOf("", ""), "", "", false},
	} {
		target, authority, ok := grpcService([]byte(c.in))
		if ok != c.ok || ok && (target != c.target || authority != c.authority) {
			t.Errorf("%q: got %q, %q, %t", c.in, target, authority, ok)
		}
	}
}

func FuzzGRPCService(f *testing.F) {
	for _, s := range []string{clusterOf("users", "a"), targetOf("dns:///a"), "users", "", "\x0a\xff\xff\xff\xff\x0f", "\x13\x14"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		target, authority, ok := grpcService(in)
		if ok && (target == "" || !bytes.Contains(in, []byte(target)) || !bytes.Contains(in, []byte(authority))) {
			t.Errorf("%q: got %q, %q", in, target, authority)
		}
	})
}

// FuzzCalls calls the host's functions with any text and any places: nothing traps,
// and nothing is called that was not granted.
func FuzzCalls(f *testing.F) {
	const origin = "http://127.0.0.1:1"
	f.Add(uint8(0), origin, head(), "body", noPairs, uint32(5), uint32(out(5)))
	f.Add(uint8(1), clusterOf(origin, "a"), "svc", "Method", meta, uint32(5), uint32(out(5)))
	f.Add(uint8(2), origin, "svc", "Method", meta, uint32(0), uint32(out(5)))
	f.Add(uint8(3), "", "", "", "", uint32(0xfffffff0), uint32(0xffffffff))
	f.Add(uint8(4), "", "", "", "", uint32(1), uint32(2))
	var do func(g *guest)
	p := load(f, in("request_headers", func(g *guest, _ []uint32) uint32 { do(g); return 0 }), calling(f, origin))
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d string, m, n uint32) {
		a, b, c, d = a[:min(len(a), 4096)], b[:min(len(b), 4096)], c[:min(len(c), 4096)], d[:min(len(d), 4096)]
		var st status
		do = func(g *guest) {
			switch which % 5 {
			case 0:
				st = g.call("proxy_http_call", a, b, c, d, m, n)
			case 1:
				st = g.call("proxy_grpc_call", a, b, c, d, "message", m, n)
			case 2:
				st = g.call("proxy_grpc_stream", a, b, c, d, n)
			case 3:
				st = g.call("proxy_http_call", m, n, m, n, n, m, n, m, 0, out(5))
			case 4:
				st = g.call("proxy_grpc_send", m, "message", n)
			}
		}
		if carried := carry(p, newExchange("GET", "/")); carried.requestErr != nil {
			t.Fatal(carried.requestErr)
		}
		if st == statusOK && which%5 < 3 && !strings.Contains(a, "127.0.0.1:1") {
			t.Errorf("%q is called", a)
		}
	})
}
