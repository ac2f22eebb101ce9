package proxywasm

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// chunked is a body of single bytes.
func chunked(text string) []string { return strings.Split(text, "") }

// A guest that pauses sees the same piece grown by the next; what it lets go on is
// forgotten.
func TestPiecesOfABody(t *testing.T) {
	var saw []string
	p := load(t, in("request_body", func(g *guest, args []uint32) uint32 {
		body, _ := g.buffer(bufferRequestBody)
		saw = append(saw, fmt.Sprintf("%s %d %d", body, args[1], args[2]))
		if strings.HasSuffix(body, "c") || args[2] == 1 {
			return 0
		}
		return 1
	}))
	c := carry(p, withBody(newExchange("POST", "/"), chunked("abcdc")...), "ok")
	if c.sent != "abcdc" {
		t.Errorf("sent %q", c.sent)
	}
	if want := "a 1 0,ab 2 0,abc 3 0,d 1 0,dc 2 0, 0 1"; strings.Join(saw, ",") != want {
		t.Errorf("got %q, want %q", strings.Join(saw, ","), want)
	}
}

// Envoy's ways to change a body, and the specification's: a range in the middle.
func TestChangeABody(t *testing.T) {
	for _, test := range []struct {
		start, size int
		data, want  string
	}{
		{0, 0, "<", "<body"}, {4, 0, ">", "body>"}, {1 << 30, 0, ">", "body>"}, {0, 4, "new", "new"}, {0, 1 << 30, "new", "new"},
		{0, 1 << 30, "", ""}, {1, 2, "--", "b--y"}, {1, 1 << 30, "", "b"},
	} {
		for _, callback := range []string{"request_body", "response_body"} {
			kind := bufferRequestBody
			if callback == "response_body" {
				kind = bufferResponseBody
			}
			p := load(t, in(callback, func(g *guest, args []uint32) uint32 {
				if args[2] == 0 {
					return 1
				}
				if st := g.call("proxy_set_buffer_bytes", kind, test.start, test.size, test.data); st != statusOK {
					t.Errorf("status %d", st)
				}
				return 0
			}))
			c := carry(p, withBody(newExchange("POST", "/"), chunked("body")...), chunked("body")...)
			got := c.sent
			if callback == "response_body" {
				got = c.received
			}
			if got != test.want {
				t.Errorf("%s: replace %d at %d by %q: got %q, want %q", callback, test.size, test.start, test.data, got, test.want)
			}
		}
	}
}

func TestReadABuffer(t *testing.T) {
	p := load(t, in("request_body", func(g *guest, args []uint32) uint32 {
		if args[2] == 0 {
			return 1
		}
		for _, test := range []struct {
			kind, start, size int
			want              string
			status            status
		}{
			{bufferRequestBody, 0, 100, "body", statusOK}, {bufferRequestBody, 1, 2, "od", statusOK}, {bufferRequestBody, 4, 1, "", statusOK},
			{bufferRequestBody, 100, 1, "", statusOK}, {bufferRequestBody, 1, -1, "", statusBadArgument}, {bufferRequestBody, -1, -1, "", statusBadArgument},
			{bufferResponseBody, 0, 1, "", statusNotFound}, {2, 0, 1, "", statusNotFound}, {bufferForeignArguments, 0, 1, "", statusNotFound}, {9, 0, 1, "", statusNotFound},
			{bufferPluginConfig, 0, 100, `{"a":1}`, statusOK}, {bufferVMConfig, 0, 100, "vm", statusOK},
		} {
			st := g.call("proxy_get_buffer_bytes", test.kind, test.start, test.size, out(0), out(1))
			if st != test.status || st == statusOK && g.result(0) != test.want {
				t.Errorf("%d bytes at %d of %d: status %d", test.size, test.start, test.kind, st)
			}
		}
		for kind, want := range map[int]status{bufferRequestBody: statusOK, bufferResponseBody: statusNotFound} {
			if st := g.call("proxy_get_buffer_status", kind, out(0), out(1)); st != want || st == statusOK && g.number(0) != 4 {
				t.Errorf("status of buffer %d: %d, %d bytes", kind, st, g.number(0))
			}
		}
		for kind, want := range map[int]status{bufferResponseBody: statusNotFound, bufferPluginConfig: statusBadArgument, 99: statusBadArgument} {
			if st := g.call("proxy_set_buffer_bytes", kind, 0, 0, "a"); st != want {
				t.Errorf("set buffer %d: %d", kind, st)
			}
		}
		return 0
	}), func(s *policy.Spec) { s.Settings.ProxyWasm = settings("") })
	if c := carry(p, withBody(newExchange("POST", "/"), "body")); c.sent != "body" {
		t.Errorf("got %+v", c)
	}
}

// A guest that changes the size of a body says so by removing its length, or by
// setting another one.
func TestLengthOfAChangedBody(t *testing.T) {
	for name, test := range map[string]struct {
		head func(*guest)
		want int64
		ok   bool
	}{
		"left":    {func(*guest) {}, 4, false},
		"removed": {func(g *guest) { g.call("proxy_remove_header_map_value", mapRequestHeaders, "content-length") }, exchange.UnknownLength, true},
		"set": {func(g *guest) {
			g.call("proxy_replace_header_map_value", mapRequestHeaders, "content-length", "6")
		}, 6, true},
		"set wrong": {func(g *guest) {
			g.call("proxy_replace_header_map_value", mapRequestHeaders, "content-length", "7")
		}, 7, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, script{
				"request_headers": func(g *guest, _ []uint32) uint32 {
					test.head(g)
					return 0
				},
				"request_body": func(g *guest, args []uint32) uint32 {
					if args[2] == 1 {
						g.call("proxy_set_buffer_bytes", bufferRequestBody, 0, 0, "my")
					}
					return 0
				},
			})
			x := newExchange("POST", "/", exchange.Field{Name: "Content-Length", Value: "4"})
			x.Request.Body, x.Request.Length = &pieces{left: []string{"body"}}, 4
			c := carry(p, x)
			if x.Request.Length != test.want {
				t.Errorf("length %d, want %d", x.Request.Length, test.want)
			}
			if test.ok != (c.sentErr == nil) || test.ok && c.sent != "mybody" {
				t.Errorf("got %+v", c)
			}
			if !test.ok {
				wantKind(t, c.failed, policy.Trap)
			}
		})
	}
}

// A body that is held beyond its bound is the sender's matter, not the policy's.
func TestHeldBodyIsBounded(t *testing.T) {
	limit := func(s *policy.Spec) { s.Settings.Limits.RequestBody, s.Settings.Limits.ResponseBody = 8, 8 }
	for _, callback := range []string{"request_body", "response_body"} {
		p := load(t, in(callback, func(*guest, []uint32) uint32 { return 1 }), limit)
		c := carry(p, withBody(newExchange("POST", "/"), chunked("123456789")...), chunked("123456789")...)
		if !errors.Is(errors.Join(c.sentErr, c.receivedErr), exchange.ErrBodyTooLarge) || c.failed != nil {
			t.Errorf("%s: got %+v", callback, c)
		}
	}
	// What is not held is not bounded.
	p := load(t, script{}, limit)
	long := strings.Repeat("x", 1<<20)
	if c := carry(p, withBody(newExchange("POST", "/"), long), long); c.sent != long || c.received != long {
		t.Error("a long body did not pass")
	}
	// A guest can't grow a piece without a bound either.
	p = load(t, in("request_body", func(g *guest, _ []uint32) uint32 {
		if st := g.call("proxy_set_buffer_bytes", bufferRequestBody, 0, 0, strings.Repeat("x", pieceBytes+9)); st != statusBadArgument {
			t.Errorf("status %d", st)
		}
		return 0
	}), limit)
	carry(p, withBody(newExchange("POST", "/"), "a"))
}

// The end of a body whose length is known comes with its last byte.
func TestEndOfAKnownBody(t *testing.T) {
	var ends []uint32
	p := load(t, in("request_body", func(_ *guest, args []uint32) uint32 {
		ends = append(ends, args[2])
		return 0
	}))
	x := newExchange("POST", "/")
	x.Request.Body, x.Request.Length = &pieces{left: []string{"a", "b"}}, 2
	carry(p, x)
	if fmt.Sprint(ends) != "[0 1]" {
		t.Errorf("got %v", ends)
	}
}

func TestTrailers(t *testing.T) {
	p := load(t, script{
		"request_body": func(*guest, []uint32) uint32 { return 1 },
		"request_trailers": func(g *guest, args []uint32) uint32 {
			if value, _ := g.header(mapRequestTrailers, "x-end"); value != "1" || args[1] != 1 {
				t.Errorf("got %q, %d fields", value, args[1])
			}
			g.call("proxy_add_header_map_value", mapRequestTrailers, "x-more", "2")
			if st := g.call("proxy_add_header_map_value", mapRequestTrailers, "content-length", "2"); st != statusOK { // without effect
				t.Errorf("status %d", st)
			}
			return 0
		},
	})
	x := withBody(newExchange("POST", "/"), chunked("body")...)
	x.Request.Trailer.Add("x-end", "1")
	if c := carry(p, x); c.sent != "body" || joined(&x.Request.Trailer) != "x-end=1\nx-more=2\n" {
		t.Errorf("got %+v, %s", c, joined(&x.Request.Trailer))
	}
}

// StopIterationNoBuffer drops what the guest saw.
func TestStopWithoutBuffering(t *testing.T) {
	p := load(t, in("response_body", func(g *guest, args []uint32) uint32 {
		if args[2] == 0 {
			return 3
		}
		g.call("proxy_set_buffer_bytes", bufferResponseBody, 0, 0, "end")
		return 0
	}))
	if c := carry(p, newExchange("GET", "/"), chunked("body")...); c.received != "end" {
		t.Errorf("got %+v", c)
	}
}

// broken is a body whose sender leaves.
type broken struct{ io.Reader }

func (b broken) Close() error { return nil }
func (b broken) Read(p []byte) (int, error) {
	return 0, &exchange.BodyError{Err: io.ErrUnexpectedEOF}
}

// A sender that breaks off is not the policy's fault.
func TestBrokenBody(t *testing.T) {
	x := newExchange("POST", "/")
	x.Request.Body, x.Request.Length = broken{}, 10
	c := carry(load(t, script{}), x)
	var sender *exchange.BodyError
	if !errors.As(c.sentErr, &sender) || c.failed != nil {
		t.Errorf("got %+v", c)
	}
}

// A trap while a body is on its way is told afterwards.
func TestTrapInABody(t *testing.T) {
	for _, callback := range []string{"request_body", "response_body", "request_trailers"} {
		p := load(t, in(callback, func(*guest, []uint32) uint32 { return trap }))
		x := withBody(newExchange("POST", "/"), "body")
		x.Request.Trailer.Add("x-end", "1")
		c := carry(p, x, "body")
		if errors.Join(c.sentErr, c.receivedErr) == nil {
			t.Errorf("%s: got %+v", callback, c)
		}
		wantKind(t, c.failed, policy.Trap)
	}
}

// Bodies that the policy says it does not look at stay as they are.
func TestBodiesThatAreNotShown(t *testing.T) {
	p := load(t, script{}, func(s *policy.Spec) {
		s.Artifact.File.Needs.RequestBody.UnmarshalText([]byte("none"))
		s.Artifact.File.Needs.ResponseBody.UnmarshalText([]byte("none"))
	})
	x := withBody(newExchange("POST", "/"), "body")
	before := x.Request.Body
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	p.OnRequestHead(i, x)
	if x.Request.Body != before {
		t.Error("the body is another one")
	}
}

// A pause at the end of a body is bounded, though no deadline of the exchange is
// left.
func TestPauseAtTheEndOfABody(t *testing.T) {
	p := load(t, in("response_body", func(*guest, []uint32) uint32 { return 1 }))
	p.bodyPause = time.Millisecond
	c := carry(p, newExchange("GET", "/"), "body")
	wantKind(t, c.failed, policy.Timeout)
	if s := p.Stats(); s.Discarded != 0 {
		t.Errorf("a pause costs its vm: %+v", s)
	}
}
