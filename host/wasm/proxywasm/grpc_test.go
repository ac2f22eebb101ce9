package proxywasm

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// newPeer starts a server of grpc-go that answers each message with "re: " and
// itself; its method Refuse refuses.
func newPeer(t *testing.T) (url string) {
	t.Helper()
	return hosttest.ServeGRPC(t, func(_ any, s grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(s); strings.HasSuffix(method, "/Refuse") {
			return grpcstatus.Error(codes.PermissionDenied, "not you")
		}
		in, _ := metadata.FromIncomingContext(s.Context())
		s.SetHeader(metadata.Pairs("x-first", strings.Join(in["x-meta"], "")))
		s.SetTrailer(metadata.Pairs("x-last", "l"))
		return hosttest.Talk(s)
	})
}

// eventsOf is a script that tells of what comes of calls of gRPC, as lines.
func eventsOf(told chan<- string, on func(g *guest, args []uint32, line string)) script {
	tell := func(g *guest, args []uint32, line string) uint32 {
		if on != nil {
			on(g, args, line)
		}
		told <- line
		return 0
	}
	return script{
		"grpc_receive_initial_metadata": func(g *guest, args []uint32) uint32 {
			value, _ := g.header(mapGRPCInitialMetadata, "x-first")
			return tell(g, args, "initial "+value)
		},
		"grpc_receive": func(g *guest, args []uint32) uint32 {
			message, _ := g.buffer(bufferGRPCMessage)
			return tell(g, args, fmt.Sprint("message ", message, " of ", args[2]))
		},
		"grpc_receive_trailing_metadata": func(g *guest, args []uint32) uint32 {
			value, _ := g.header(mapGRPCTrailingMetadata, "x-last")
			return tell(g, args, "trailing "+value)
		},
		"grpc_close": func(g *guest, args []uint32) uint32 {
			return tell(g, args, fmt.Sprint("close ", args[2], " ", g.lastStatus()))
		},
	}
}

var meta = string(property.AppendPairs(nil, parsePairs([]byte("\x01\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x00x-meta\x00m\x00"))))

func wantLines(t *testing.T, told <-chan string, want ...string) {
	t.Helper()
	for i, line := range want {
		if got := <-told; got != line {
			t.Errorf("line %d: got %q, want %q", i, got, line)
		}
	}
}

func TestGRPCCall(t *testing.T) {
	url := newPeer(t)
	for name, place := range map[string]string{"a name": url, "a cluster": clusterOf(url, ""), "a target": targetOf("dns:///" + strings.TrimPrefix(url, "http://"))} {
		for method, want := range map[string]string{"Talk": "message re: ping of 8", "Refuse": "close 7 7 not you"} {
			t.Run(name+" "+method, func(t *testing.T) {
				told := make(chan string, 8)
				s := eventsOf(told, nil)
				s["request_headers"] = func(g *guest, _ []uint32) uint32 {
					if st := g.call("proxy_grpc_call", place, "svc", method, meta, "ping", 5000, out(5)); st != statusOK {
						t.Errorf("proxy_grpc_call: status %d", st)
					}
					if st := g.call("proxy_grpc_send", g.number(5), "more", 0); st != statusBadArgument {
						t.Errorf("proxy_grpc_send on a call of one message: status %d", st)
					}
					return 0
				}
				p := load(t, s, calling(t, url))
				carry(p, newExchange("GET", "/"))
				wantLines(t, told, want)
				if err := p.granted.HTTP.Close(); err != nil { // waits for what is under way
					t.Error(err)
				}
				if len(told) != 0 {
					t.Errorf("one callback more: %q", <-told)
				}
			})
		}
	}
}

func TestGRPCStream(t *testing.T) {
	url := newPeer(t)
	told := make(chan string, 16)
	s := eventsOf(told, func(g *guest, args []uint32, line string) {
		if line != "message re: one of 7" {
			return
		}
		if st := g.call("proxy_grpc_send", args[1], "", 0); st != statusOK {
			t.Errorf("proxy_grpc_send: status %d", st)
		}
		if st := g.call("proxy_grpc_close", args[1]); st != statusOK {
			t.Errorf("proxy_grpc_close: status %d", st)
		}
		if st := g.call("proxy_grpc_send", args[1], "late", 0); st != statusBadArgument {
			t.Errorf("proxy_grpc_send after the end: status %d", st)
		}
	})
	s["request_headers"] = func(g *guest, _ []uint32) uint32 {
		if st := g.call("proxy_grpc_stream", url, "svc", "Talk", meta, out(5)); st != statusOK {
			t.Errorf("proxy_grpc_stream: status %d", st)
		}
		if st := g.call("proxy_grpc_send", g.number(5), "one", 0); st != statusOK {
			t.Errorf("proxy_grpc_send: status %d", st)
		}
		if st := g.call("proxy_grpc_send", g.number(5), strings.Repeat("x", 1000), 0); st != statusBadArgument {
			t.Errorf("proxy_grpc_send of too much: status %d", st)
		}
		return 0
	}
	p := load(t, s, calling(t, url))
	carry(p, newExchange("GET", "/"))
	wantLines(t, told, "initial m", "message re: one of 7", "message re:  of 4", "trailing l", "close 0 0 ")
}

func TestGRPCStreamThatIsRefused(t *testing.T) {
	url := newPeer(t)
	told := make(chan string, 16)
	s := eventsOf(told, nil)
	s["request_headers"] = func(g *guest, _ []uint32) uint32 {
		for _, args := range [][]any{{"other", "svc", "Talk"}, {clusterOf("other", ""), "svc", "Talk"}, {"", "svc", "Talk"}, {url, "", "Talk"}, {url, "svc", ""}, {url, "svc", "a/b"}, {url, "..", "?"}} {
			if st := g.call("proxy_grpc_stream", append(args, meta, out(5))...); st != statusParseFailure {
				t.Errorf("%q: status %d", args, st)
			}
		}
		if st := g.call("proxy_grpc_stream", url, "svc", "Talk", meta, -1); st != statusInvalidMemory {
			t.Errorf("a place outside of memory: status %d", st)
		}
		g.call("proxy_grpc_stream", url, "svc", "Refuse", meta, out(5))
		return 0
	}
	p := load(t, s, calling(t, url))
	carry(p, newExchange("GET", "/"))
	wantLines(t, told, "trailing ", "close 7 7 not you")
}

// A stream that is canceled says no more; its number is unknown from then on.
func TestGRPCCancel(t *testing.T) {
	url := newPeer(t)
	told := make(chan string, 16)
	s := eventsOf(told, func(g *guest, args []uint32, line string) {
		if !strings.HasPrefix(line, "message") {
			return
		}
		for _, want := range []status{statusOK, statusNotFound} {
			if st := g.call("proxy_grpc_cancel", args[1]); st != want {
				t.Errorf("proxy_grpc_cancel: status %d, want %d", st, want)
			}
		}
		if st := g.call("proxy_grpc_send", args[1], "m", 0); st != statusNotFound {
			t.Errorf("proxy_grpc_send: status %d", st)
		}
	})
	s["request_headers"] = func(g *guest, _ []uint32) uint32 {
		g.call("proxy_grpc_stream", url, "svc", "Talk", meta, out(5))
		g.call("proxy_grpc_send", g.number(5), "one", 0)
		g.call("proxy_grpc_send", g.number(5), "two", 1)
		if st := g.call("proxy_grpc_cancel", 0); st != statusNotFound {
			t.Errorf("proxy_grpc_cancel of nothing: status %d", st)
		}
		return 0
	}
	change := calling(t, url)
	p := load(t, s, change)
	carry(p, newExchange("GET", "/"))
	wantLines(t, told, "initial m", "message re: one of 7")
	if err := p.granted.HTTP.Close(); err != nil { // waits for what is under way
		t.Error(err)
	}
	if len(told) != 0 {
		t.Errorf("got %q after the end", <-told)
	}
}

// TestCallHammer has streams call, and be answered, in few instances.
func TestCallHammer(t *testing.T) {
	url := newPeer(t)
	told := make(chan string, 1<<10)
	s := eventsOf(told, nil)
	s["request_headers"] = func(g *guest, _ []uint32) uint32 {
		g.call("proxy_grpc_call", url, "svc", "Talk", meta, "ping", 0, out(5))
		return 0
	}
	p := load(t, s, calling(t, url))
	done := make(chan struct{})
	for range 8 {
		go func() {
			for range 20 {
				carry(p, newExchange("GET", "/"))
			}
			done <- struct{}{}
		}()
	}
	for range 8 {
		<-done
	}
	if err := p.granted.HTTP.Close(); err != nil {
		t.Error(err)
	}
	if len(told) == 0 {
		t.Error("no call was answered")
	}
	for _, v := range p.vms {
		if n := v.underWay.Load(); n != 0 {
			t.Errorf("%d calls are under way after the end", n)
		}
	}
}
