package proxywasm

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// A request's body may be carried longer than its exchange lasts. A pause in it ends
// with the exchange, and nothing more is shown to a context that is no more.
func TestBodyThatOutlivesItsExchange(t *testing.T) {
	var shown int
	p := load(t, in("request_body", func(*guest, []uint32) uint32 {
		shown++
		return 1
	}))
	x := withBody(newExchange("POST", "/"), "body")
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	s, body := i.(*stream), x.Request.Body
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(body)
		ended <- err
	}()
	waitFor(t, "pause", func() bool {
		s.vm.hold()
		defer s.vm.release()
		return s.ways[request].waits
	})
	p.OnDone(i, x)
	p.Release(i)
	if err := <-ended; !errors.Is(err, errOver) {
		t.Errorf("got %v", err)
	}
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, errOver) {
		t.Errorf("again: got %v", err)
	}
	if st := p.Stats(); shown != 2 || st.Discarded != 0 || p.BodyFault(i) != nil {
		t.Errorf("shown %d times, %+v", shown, st)
	}
}

// gated is a body whose next piece waits for the test.
type gated struct {
	pieces
	gate chan struct{}
}

func (g *gated) Read(b []byte) (int, error) {
	<-g.gate
	return g.pieces.Read(b)
}

// So too if it was the sender who was awaited.
func TestBodyThatComesAfterItsExchange(t *testing.T) {
	p := load(t, in("request_body", func(*guest, []uint32) uint32 {
		t.Error("a context that is no more sees a body")
		return 0
	}))
	x := newExchange("POST", "/")
	gate := make(chan struct{})
	x.Request.Body, x.Request.Length = &gated{pieces{left: []string{"body"}}, gate}, exchange.UnknownLength
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	p.OnRequestHead(i, x)
	ended := make(chan error)
	body := x.Request.Body
	go func() {
		_, err := body.Read(make([]byte, 1))
		ended <- err
	}()
	respondWith(x)
	p.OnResponseHead(i, x)
	p.OnDone(i, x)
	p.Release(i)
	close(gate)
	if err := <-ended; !errors.Is(err, errOver) {
		t.Errorf("got %v", err)
	}
}

// A client that leaves does not wait for a vm that others are in.
func TestLeaveWhileTheInstanceIsBusy(t *testing.T) {
	p := load(t, script{})
	x := newExchange("GET", "/")
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	v := p.vms[0]
	v.hold()
	ended := make(chan error)
	go func() {
		_, err := p.OnRequestHead(i, x)
		ended <- err
	}()
	x.Life().End(context.Canceled)
	select {
	case err := <-ended:
		wantKind(t, err, policy.Overload)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		v.release()
	case <-time.After(10 * time.Second):
		t.Error("it waits")
		v.release()
		<-ended
	}
	p.Release(i)
}

// A context is deleted though what its end needed was not there.
func TestEndThatLacksSomething(t *testing.T) {
	deleted := 0
	p := load(t, script{
		"log": func(g *guest, _ []uint32) uint32 {
			wasm.CallOf(g.ctx).Fail(errors.New("the server is down"))
			return 0
		},
		"delete": func(*guest, []uint32) uint32 {
			deleted++
			return 0
		},
	})
	for range 3 {
		carry(p, newExchange("GET", "/"), "a")
	}
	if s := p.Stats(); deleted != 3 || len(p.vms[0].ending) != 0 || s.Discarded != 0 || s.BackgroundFailures != 3 {
		t.Errorf("%d deleted, %d left, %+v", deleted, len(p.vms[0].ending), s)
	}
}

// A guest that is in its first callback is in its own context.
func TestFirstContext(t *testing.T) {
	var effective uint32
	var p *Policy
	p = load(t, in("context_create", func(_ *guest, args []uint32) uint32 {
		if args[1] == rootID {
			effective = p.vms[0].effective - args[0]
		}
		return 0
	}))
	effective = 1
	carry(p, newExchange("GET", "/"), "a")
	if effective != 0 {
		t.Error("its context is another one")
	}
}

// A body that ends before its length is the sender's doing.
func TestBodyThatIsTooShort(t *testing.T) {
	p := load(t, script{})
	x := newExchange("POST", "/")
	x.Request.Body, x.Request.Length = &pieces{left: []string{"bo"}}, 4
	c := carry(p, x)
	var sender *exchange.BodyError
	if !errors.As(c.sentErr, &sender) || !errors.Is(c.sentErr, io.ErrUnexpectedEOF) || c.failed != nil {
		t.Errorf("got %+v", c)
	}
}

// Nobody is told a length of what the guest can't change.
func TestLengthOfABodyThatIsNotShown(t *testing.T) {
	for _, change := range []func(*guest){
		func(g *guest) { g.call("proxy_remove_header_map_value", mapRequestHeaders, "content-length") },
		func(g *guest) { g.call("proxy_replace_header_map_value", mapRequestHeaders, "content-length", "2") },
		func(g *guest) {
			g.call("proxy_set_header_map_pairs", mapRequestHeaders, "\x01\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00content-length\x007\x00")
		},
	} {
		p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
			change(g)
			return 0
		}), func(s *policy.Spec) { s.Artifact.File.Needs.RequestBody.UnmarshalText([]byte("none")) })
		x := newExchange("POST", "/", exchange.Field{Name: "Content-Length", Value: "4"})
		x.Request.Body, x.Request.Length = &pieces{left: []string{"body"}}, 4
		c := carry(p, x)
		if told := x.Request.Header.Value("content-length"); c.sent != "body" || x.Request.Length != 4 || told != "4" {
			t.Errorf("got %q of %d, told %q", c.sent, x.Request.Length, told)
		}
	}
}

// A guest that changes bodies says of HEAD's response what it would say of GET's.
func TestLengthOfABodyThatIsAbsent(t *testing.T) {
	p := load(t, in("response_headers", func(g *guest, _ []uint32) uint32 {
		g.call("proxy_remove_header_map_value", mapResponseHeaders, "content-length")
		return 0
	}))
	for _, c := range []struct {
		method string
		status int
		length int64
		told   string
	}{
		{"HEAD", 200, exchange.UnknownLength, ""}, {"GET", 304, exchange.UnknownLength, ""}, {"GET", 200, 0, "0"},
	} {
		x := newExchange(c.method, "/")
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		respondWith(x)
		x.Response.Status = c.status
		x.Response.Header.Add("Content-Length", "0")
		if err := p.OnResponseHead(i, x); err != nil {
			t.Fatal(err)
		}
		if told := x.Response.Header.Value("content-length"); x.Response.Length != c.length || told != c.told {
			t.Errorf("%s %d: got %d, told %q", c.method, c.status, x.Response.Length, told)
		}
		p.Release(i)
	}
}

// tunnel is an upstream's side of a connection.
type tunnel struct{ pieces }

func (*tunnel) Write(b []byte) (int, error) { return len(b), nil }

// A guest can't take a tunnel for an ordinary response, which would leave it open. It
// can answer instead, which closes it.
func TestStatusOfATunnel(t *testing.T) {
	for _, answers := range []bool{false, true} {
		p := load(t, in("response_headers", func(g *guest, args []uint32) uint32 {
			if args[2] != 0 {
				t.Error("a tunnel is no end of a stream")
			}
			pairs := g.pairs(mapResponseHeaders)
			if pairs[0].Value != "101" {
				t.Errorf("got %v", pairs)
			}
			for _, st := range []status{
				g.call("proxy_replace_header_map_value", mapResponseHeaders, ":status", "200"),
				g.call("proxy_set_header_map_pairs", mapResponseHeaders, g.result(0)),
			} {
				if st != statusOK {
					t.Errorf("status %d", st)
				}
			}
			if answers {
				g.respond(403, "no")
			}
			return 0
		}))
		x := newExchange("GET", "/")
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		p.OnRequestHead(i, x)
		up := new(tunnel)
		x.Response = exchange.Response{Status: 101, Tunnel: up}
		if err := p.OnResponseHead(i, x); err != nil {
			t.Error(err)
		}
		r := &x.Response
		if !answers && (r.Status != 101 || r.Tunnel == nil || up.closed) || answers && (r.Status != 403 || r.Tunnel != nil || !up.closed) {
			t.Errorf("got %+v, closed %t", r, up.closed)
		}
		p.OnDone(i, x)
		p.Release(i)
	}
}

// A body that becomes a field of gRPC is cut.
func TestLongGRPCMessage(t *testing.T) {
	p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
		g.respond(403, strings.Repeat("\x01", 1<<20))
		return 0
	}))
	x := newExchange("POST", "/", exchange.Field{Name: "Content-Type", Value: "application/grpc"})
	carry(p, x)
	if n := len(x.Response.Header.Value("grpc-message")); n != 3*maxGRPCMessage {
		t.Errorf("got %d bytes", n)
	}
}
