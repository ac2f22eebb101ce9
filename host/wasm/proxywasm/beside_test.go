package proxywasm

import (
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
)

// Timers act on streams at any time, whoever carries them: between their phases, while
// a piece of a body is awaited, and at their end.
func TestTimersBesideStreams(t *testing.T) {
	const streams = 400
	p := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_set_tick_period_milliseconds", 1)
			return 1
		},
		"tick": func(g *guest, _ []uint32) uint32 {
			for id := 2; id < streams; id++ {
				g.call("proxy_set_effective_context", id)
				g.call("proxy_set_property", "set_decoder_buffer_limit", "8")
				g.call("proxy_get_property", "request\x00path", out(0), out(1))
				g.call("proxy_continue_stream", request)
				if id%3 == 0 {
					g.respond(403, "no")
				}
			}
			return 0
		},
		"request_body": func(_ *guest, args []uint32) uint32 { return 1 - args[2] },
	}, func(s *policy.Spec) { s.Settings.Limits.Instances = 2 })
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range streams / 4 {
				c := carry(p, withBody(newExchange("POST", "/"), chunked("body")...), "re", "ply")
				if c.requestErr != nil || c.responseErr != nil || c.failed != nil {
					t.Errorf("got %+v", c)
				}
			}
		})
	}
	all.Wait()
}

// A policy that is used twice meets an exchange in two streams, be it in one instance.
func TestPolicyUsedTwice(t *testing.T) {
	p := load(t, script{
		"request_headers": func(g *guest, args []uint32) uint32 {
			g.call("proxy_add_header_map_value", mapRequestHeaders, "seen", "x")
			return 1 // until the body is there
		},
		"request_body": func(g *guest, args []uint32) uint32 {
			if args[2] == 0 {
				return 1
			}
			g.call("proxy_set_buffer_bytes", bufferRequestBody, 0, 0, "<")
			return 0
		},
		"response_body": func(g *guest, args []uint32) uint32 {
			g.call("proxy_set_buffer_bytes", bufferResponseBody, 1<<30, 0, "+")
			return 0
		},
	}, func(s *policy.Spec) { s.Settings.Limits.Instances = 1; s.Settings.ProxyWasm = settings("headers") })
	x := withBody(newExchange("POST", "/"), chunked("body")...)
	var lent []policy.Instance
	for range 2 {
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		lent = append(lent, i)
	}
	sent, err := readAll(x.Request.Body)
	if sent != "<<body" || err != nil || x.Request.Length != 6 || joined(&x.Request.Header) != "seen=x\nseen=x\n" {
		t.Errorf("sent %q of %d, %v, %s", sent, x.Request.Length, err, joined(&x.Request.Header))
	}
	respondWith(x, "re", "ply")
	for n := range lent {
		if err := p.OnResponseHead(lent[1-n], x); err != nil {
			t.Fatal(err)
		}
	}
	if received, err := readAll(x.Response.Body); received != "re++ply+++++" || err != nil {
		t.Errorf("received %q, %v", received, err)
	}
	for n := range lent {
		p.OnDone(lent[1-n], x)
		p.Release(lent[1-n])
	}
	if s := p.Stats(); s.Busy != 0 || s.Instances != 1 {
		t.Errorf("got %+v", s)
	}
}
