package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// A guest is called back in the order of the specification, with numbers and ends.
func TestLifeOfAStream(t *testing.T) {
	var calls []string
	s := script{}
	for _, name := range puppetCallbacks {
		s[name] = func(_ *guest, args []uint32) uint32 {
			calls = append(calls, fmt.Sprintf("%s%v", name, args))
			if name == "vm_start" || name == "configure" || name == "done" {
				return 1
			}
			return 0
		}
	}
	p := load(t, s, func(s *policy.Spec) { s.Settings.ProxyWasm = settings("") })
	x := withBody(newExchange("POST", "/", exchange.Field{Name: "X-A", Value: "1"}), "body")
	x.Request.Trailer.Add("x-end", "1")
	if c := carry(p, x, "re", "ply"); c.sent != "body" || c.received != "reply" || c.sentErr != nil || c.receivedErr != nil {
		t.Errorf("got %+v", c)
	}
	want := []string{
		"context_create[1 0 0 0 0]", "vm_start[1 2 0 0 0]", "configure[1 7 0 0 0]",
		"context_create[2 1 0 0 0]", "request_headers[2 5 0 0 0]",
		"request_body[2 4 0 0 0]", "request_body[2 0 0 0 0]", "request_trailers[2 1 0 0 0]",
		"response_headers[2 2 0 0 0]", "response_body[2 2 0 0 0]", "response_body[2 3 0 0 0]", "response_body[2 0 1 0 0]",
		"done[2 0 0 0 0]", "log[2 0 0 0 0]", "delete[2 0 0 0 0]",
	}
	if got := strings.Join(calls, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// in makes a script of one callback.
func in(callback string, f func(g *guest, args []uint32) uint32) script { return script{callback: f} }

// A stream that pauses leaves its vm to others, and goes on when the guest says so:
// here from its timer.
func TestPauseUntilResumed(t *testing.T) {
	for _, test := range []struct {
		way      int
		callback string
	}{{request, "request_headers"}, {response, "response_headers"}} {
		t.Run(test.callback, func(t *testing.T) {
			paused := make(chan uint32, 1)
			p := load(t, script{
				test.callback: func(g *guest, args []uint32) uint32 {
					paused <- args[0]
					g.call("proxy_set_tick_period_milliseconds", 1)
					return 1
				},
				"tick": func(g *guest, args []uint32) uint32 {
					select {
					case id := <-paused:
						g.call("proxy_set_effective_context", id)
						kind := mapRequestHeaders
						if test.way == response {
							kind = mapResponseHeaders
						}
						if st := g.call("proxy_add_header_map_value", kind, "resumed", "1"); st != statusOK {
							t.Errorf("change a paused stream: %d", st)
						}
						if st := g.call("proxy_continue_stream", test.way); st != statusOK {
							t.Errorf("continue: %d", st)
						}
					default:
					}
					return 0
				},
			})
			x := newExchange("GET", "/")
			if c := carry(p, x, "a"); c.requestErr != nil || c.responseErr != nil || c.received != "a" {
				t.Errorf("got %+v", c)
			}
			if !x.Request.Header.Has("resumed") && !x.Response.Header.Has("resumed") {
				t.Error("it went on before it was resumed")
			}
		})
	}
}

// Continuing within the callback that returns "pause" counts, as it takes effect
// when the callback has returned.
func TestResumeWithinTheCallback(t *testing.T) {
	for _, function := range []string{"proxy_continue_stream", "proxy_continue_request"} {
		p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
			var args []any
			if function == "proxy_continue_stream" {
				args = []any{request}
			}
			if st := g.call(function, args...); st != statusOK {
				t.Errorf("%s: %d", function, st)
			}
			return 1
		}))
		if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" {
			t.Errorf("%s: got %+v", function, c)
		}
	}
}

// A pause ends with the exchange: its client leaves, or its time is up.
func TestPauseEndsWithTheExchange(t *testing.T) {
	p := load(t, in("request_headers", func(*guest, []uint32) uint32 { return 1 }))
	x := newExchange("GET", "/")
	x.Life().Narrow(exchange.Clock() + 20*time.Millisecond)
	wantKind(t, carry(p, x).requestErr, policy.Timeout)

	x = newExchange("GET", "/")
	life := x.Life()
	time.AfterFunc(20*time.Millisecond, func() { life.End(context.Canceled) })
	if err := carry(p, x).requestErr; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s := p.Stats(); s.Discarded != 0 || s.Instances != 1 {
		t.Errorf("a pause costs its vm: %+v", s)
	}
}

// While one stream is paused, its vm carries others.
func TestPausedStreamHoldsNoVM(t *testing.T) {
	var first atomic.Uint32
	p := load(t, in("request_headers", func(g *guest, args []uint32) uint32 {
		if first.CompareAndSwap(0, args[0]) {
			return 1
		}
		g.call("proxy_set_effective_context", first.Load())
		g.call("proxy_continue_stream", request)
		return 0
	}), func(s *policy.Spec) { s.Settings.Limits.Instances = 1 })
	done := make(chan carried)
	go func() { done <- carry(p, newExchange("GET", "/"), "first") }()
	for first.Load() == 0 {
		runtime.Gosched()
	}
	if c := carry(p, newExchange("GET", "/"), "second"); c.received != "second" {
		t.Errorf("got %+v", c)
	}
	if c := <-done; c.received != "first" {
		t.Errorf("got %+v", c)
	}
}

func TestLocalResponse(t *testing.T) {
	fields := []exchange.Field{{Name: "X-Why", Value: "1"}, {Name: "x-why", Value: "2"}, {Name: "bad name", Value: ""}, {Name: "x-split", Value: "a\r\nx-other: b"}, {Name: "Content-Length", Value: "99"}}
	for _, callback := range []string{"request_headers", "response_headers"} {
		t.Run(callback, func(t *testing.T) {
			p := load(t, in(callback, func(g *guest, _ []uint32) uint32 {
				if st := g.respond(403, "no", fields...); st != statusOK {
					t.Errorf("status %d", st)
				}
				if st := g.respond(500, "another"); st != statusOK { // harmless
					t.Errorf("second: status %d", st)
				}
				return 0 // counts as a stop
			}))
			x := newExchange("GET", "/")
			c := carry(p, x, "origin")
			if (callback == "request_headers") != (c.verdict == policy.Answer) || c.received != "no" || x.Response.Status != 403 || x.Response.Length != 2 {
				t.Errorf("got %+v, %d", c, x.Response.Status)
			}
			if got, want := joined(&x.Response.Header), "x-why=1\nx-why=2\ncontent-length=2\ncontent-type=text/plain\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if len(x.Notes) != 1 || x.Notes[0] != (exchange.Note{Key: "details", Value: "why_not"}) {
				t.Errorf("notes: %v", x.Notes)
			}
		})
	}
}

func TestLocalResponseInTheWayOfGRPC(t *testing.T) {
	for _, test := range []struct {
		code, grpc int
		want       string
	}{{403, 9, "9"}, {403, -1, "7"}, {503, 17, "14"}} {
		p := load(t, in("request_headers", func(g *guest, _ []uint32) uint32 {
			g.call("proxy_send_local_response", test.code, "", "no, 100%", "", test.grpc)
			return 1
		}))
		x := newExchange("POST", "/", exchange.Field{Name: "content-type", Value: "application/grpc+proto"})
		c := carry(p, x)
		h := &x.Response.Header
		if x.Response.Status != 200 || h.Value("grpc-status") != test.want || h.Value("grpc-message") != "no, 100%25" || c.received != "" {
			t.Errorf("%d: got %d %s", test.code, x.Response.Status, joined(h))
		}
	}
}

func TestRefusedLocalResponses(t *testing.T) {
	x := newExchange("GET", "/")
	c := inRequest(t, x, func(g *guest) {
		for code, want := range map[int]status{0: statusBadArgument, 101: statusBadArgument, 199: statusBadArgument, 600: statusBadArgument, -1: statusBadArgument} {
			if got := g.respond(code, ""); got != want {
				t.Errorf("%d: got %d", code, got)
			}
		}
		if got := g.call("proxy_send_local_response", 200, "", 0, 1<<30, "", -1); got != statusInvalidMemory {
			t.Errorf("body outside of memory: got %d", got)
		}
	})
	if c.verdict != policy.Continue {
		t.Error("it answered")
	}
}

// A response from within a body's callback answers while nothing of the response
// is out.
func TestLocalResponseToABody(t *testing.T) {
	p := load(t, in("request_body", func(g *guest, _ []uint32) uint32 {
		g.respond(413, "too much")
		return 0
	}))
	x := withBody(newExchange("POST", "/"), "body")
	c := carry(p, x)
	if !c.failedAnswer || c.received != "too much" || x.Response.Status != 413 || !errors.Is(c.sentErr, errAnswered) || c.failed != nil {
		t.Errorf("got %+v", c)
	}
}

func TestCloseStream(t *testing.T) {
	for _, callback := range []string{"request_headers", "response_headers"} {
		p := load(t, in(callback, func(g *guest, _ []uint32) uint32 {
			if st := g.call("proxy_close_stream", request); st != statusOK {
				t.Errorf("status %d", st)
			}
			if st := g.call("proxy_close_stream", 2); st != statusUnimplemented {
				t.Errorf("of TCP: status %d", st)
			}
			return 0
		}))
		c := carry(p, newExchange("GET", "/"), "a")
		err := errors.Join(c.requestErr, c.responseErr)
		var f *exchange.Failure
		if !errors.As(err, &f) || f.Status != 502 {
			t.Errorf("%s: got %v", callback, err)
		}
	}
}

// A failure takes the vm: its other streams fail with it, once, and say that it was
// not theirs. The next exchange has a new vm.
func TestTrapTakesTheVM(t *testing.T) {
	for _, how := range []struct {
		answer uint32
		kind   policy.Kind
		limit  time.Duration
	}{{trap, policy.Trap, time.Minute}, {spin, policy.Timeout, 20 * time.Millisecond}} {
		var n atomic.Int32
		paused := make(chan struct{})
		p := load(t, in("request_headers", func(*guest, []uint32) uint32 {
			switch n.Add(1) {
			case 1:
				close(paused)
				return 1
			case 2:
				return how.answer
			}
			return 0
		}), func(s *policy.Spec) {
			s.Settings.Limits.Instances, s.Settings.Limits.Time = 1, manifest.Duration(how.limit)
		})
		other := make(chan error)
		go func() { other <- carry(p, newExchange("GET", "/")).requestErr }()
		<-paused
		wantKind(t, carry(p, newExchange("GET", "/")).requestErr, how.kind)
		err := <-other
		wantKind(t, err, policy.Trap)
		var failure *policy.Error
		if errors.As(err, &failure); !failure.Secondary {
			t.Errorf("the other stream: %v", err)
		}
		if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" {
			t.Errorf("the next exchange: %+v", c)
		}
		if s := p.Stats(); s.Discarded != 1 || s.Instances != 1 || s.Created != 2 || s.Busy != 0 {
			t.Errorf("got %+v", s)
		}
	}
}

// Higress and newer Envoy's: a head is held while the guest sees the body.
func TestHeadWaitsForBody(t *testing.T) {
	p := load(t, script{
		"request_headers": func(*guest, []uint32) uint32 { return 1 },
		"request_body": func(g *guest, args []uint32) uint32 {
			if args[2] == 0 {
				return 1
			}
			body, _ := g.buffer(bufferRequestBody)
			g.call("proxy_add_header_map_value", mapRequestHeaders, "x-body", body)
			g.call("proxy_set_buffer_bytes", bufferRequestBody, 0, 1<<30, "another body")
			return 0
		},
	}, func(s *policy.Spec) { s.Settings.ProxyWasm = settings("headers") })
	x := newExchange("POST", "/", exchange.Field{Name: "Content-Length", Value: "6"})
	x.Request.Body, x.Request.Length = &pieces{left: []string{"one", "two"}}, 6
	c := carry(p, x, "a")
	if c.sent != "another body" || x.Request.Header.Value("x-body") != "onetwo" || x.Request.Length != 12 || x.Request.Header.Value("content-length") != "12" {
		t.Errorf("got %+v, %s", c, joined(&x.Request.Header))
	}
}

// With all of them held, a head that waits goes on when it is told to.
func TestHeadWaitsForBodyThatIsTooLarge(t *testing.T) {
	p := load(t, script{
		"request_headers": func(*guest, []uint32) uint32 { return 1 },
		"request_body":    func(*guest, []uint32) uint32 { return 1 },
	}, func(s *policy.Spec) {
		s.Settings.ProxyWasm = settings("headers")
		s.Settings.Limits.RequestBody = 10
	})
	c := carry(p, withBody(newExchange("POST", "/"), "0123456789", "0"))
	if !errors.Is(c.requestErr, exchange.ErrBodyTooLarge) {
		t.Errorf("got %+v", c)
	}
}

// The host's own error passes the guest as any response does.
func TestFailureIsAResponse(t *testing.T) {
	p := load(t, in("response_headers", func(g *guest, _ []uint32) uint32 {
		if status, _ := g.header(mapResponseHeaders, ":status"); status != "502" {
			t.Errorf("status %s", status)
		}
		g.call("proxy_add_header_map_value", mapResponseHeaders, "x-seen", "1")
		return 0
	}))
	x := newExchange("GET", "/")
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	p.OnRequestHead(i, x)
	x.Fail(&exchange.Failure{Cause: exchange.CauseReset, Status: 502})
	if verdict, err := p.OnFailure(i, x); verdict != policy.Continue || err != nil || x.Response.Header.Value("x-seen") != "1" {
		t.Errorf("got %v, %v, %s", verdict, err, joined(&x.Response.Header))
	}
}
