package proxywasm

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// path joins names as guests do.
func path(dotted string) string { return strings.ReplaceAll(dotted, ".", "\x00") }

// property returns a property, "?" if it is not found.
func (g *guest) property(dotted string) string {
	switch st := g.call("proxy_get_property", path(dotted), out(0), out(1)); st {
	case statusOK:
		return g.result(0)
	case statusNotFound:
		return "?"
	default:
		return "status " + string(rune('0'+st))
	}
}

func (g *guest) setProperty(dotted, value string) status {
	return g.call("proxy_set_property", path(dotted), value)
}

// What a guest is it can ask before there is any exchange.
func TestPropertiesOfThePlugin(t *testing.T) {
	var got []string
	load(t, script{"configure": func(g *guest, _ []uint32) uint32 {
		got = []string{g.property("plugin_name"), g.property("plugin_root_id"), g.property("plugin_vm_id"), g.property("request.path")}
		if st := g.setProperty("user", "7"); st != statusNotFound {
			t.Errorf("set without a stream: status %d", st)
		}
		if n := binary.LittleEndian.Uint64([]byte(g.property("plugin_vm_memory"))); n != uint64(g.mod.Memory().Size()) {
			t.Errorf("memory is %d, want %d", n, g.mod.Memory().Size())
		}
		return 1
	}}, func(s *policy.Spec) { s.Settings.ProxyWasm = &manifest.ProxyWasm{RootID: "my_root"} })
	if want := "puppet my_root puppet ?"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A stream's properties are there at every place where the guest is called, also
// where the request's body is carried beside the rest.
func TestPropertiesAlongAStream(t *testing.T) {
	var got []string
	tell := func(paths ...string) func(*guest, []uint32) uint32 {
		return func(g *guest, _ []uint32) uint32 {
			for _, p := range paths {
				got = append(got, g.property(p))
			}
			return 0
		}
	}
	everywhere := []string{"request.path", "request.headers.x-a", "response.headers.server", "left"}
	s := script{"log": tell(append(everywhere, "response.size")...)}
	for name, value := range map[string]string{
		"request_headers": "at head", "request_body": "at request's body", "response_headers": "at response", "response_body": "",
	} {
		s[name] = func(g *guest, args []uint32) uint32 {
			tell(everywhere...)(g, args)
			if value != "" {
				if st := g.setProperty("left", value); st != statusOK {
					t.Errorf("%s: set: status %d", name, st)
				}
			}
			return 0
		}
	}
	x := withBody(newExchange("POST", "/a?b", exchange.Field{Name: "X-A", Value: "1"}), "body")
	x.ResponseBytes = 5
	if c := carry(load(t, s), x, "reply"); c.sent != "body" || c.received != "reply" {
		t.Errorf("got %+v", c)
	}
	want := []string{
		"/a?b", "1", "?", "?", // request_headers
		"/a?b", "1", "?", "at head", // request_body
		"/a?b", "1", "?", "at request's body", // its end
		"/a?b", "1", "origin", "at request's body", // response_headers
		"/a?b", "1", "origin", "at response", // response_body
		"/a?b", "1", "origin", "at response", // its end
		"/a?b", "1", "origin", "at response", "\x05\x00\x00\x00\x00\x00\x00\x00", // log
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// What one policy sets the next one reads.
func TestPropertiesBetweenPolicies(t *testing.T) {
	first := load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		g.setProperty("my.user", "7")
		return 0
	}})
	var got string
	second := load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		got = g.property("my.user") + g.property("filter_state.wasm")
		g.call("proxy_get_property", "filter_state\x00wasm.my\x00user", out(0), out(1))
		got += g.result(0)
		return 0
	}})
	x := newExchange("GET", "/")
	carry(first, x)
	carry(second, x)
	if got != "7?7" {
		t.Errorf("got %q, want \"7?7\"", got)
	}
}

// While somebody else carries the request's body, the guest is told what was known
// before: nothing of the exchange is looked at that its carrier may change.
func TestPropertiesWhileTheExchangeIsElsewhere(t *testing.T) {
	const pieces = 200
	s := script{
		"request_body": func(g *guest, _ []uint32) uint32 {
			if got := g.property("request.headers.x-a") + g.property("response.code"); got != "1?" {
				t.Errorf("got %q, want \"1?\"", got)
			}
			g.setProperty("seen", "1")
			return 0
		},
	}
	p := load(t, s)
	x := withBody(newExchange("POST", "/", exchange.Field{Name: "X-A", Value: "1"}), strings.Split(strings.Repeat("x", pieces), "")...)
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	body, carried := x.Request.Body, make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, body)
		carried <- err
	}()
	for range 100 {
		x.Request.Header.Set("x-b", "2")
		if err := x.SetProperty(exchange.Property{Name: "other", Value: "1"}); err != nil {
			t.Fatal(err)
		}
		x.Endpoint.Tries++
	}
	if err := <-carried; err != nil {
		t.Fatal(err)
	}
	respondWith(x)
	if err := p.OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	if seen, _ := x.Property("wasm.seen"); seen.Value != "1" || len(x.Properties) != 2 {
		t.Errorf("got %v, want what the guest has set, and what others have", x.Properties)
	}
	p.OnDone(i, x)
	p.Release(i)
}

func TestPropertyArguments(t *testing.T) {
	carry(load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		for _, tc := range []struct {
			name string
			args []any
			want status
		}{
			{"proxy_get_property", []any{-1, 4, out(0), out(1)}, statusInvalidMemory},
			{"proxy_get_property", []any{"plugin_name", -1, out(1)}, statusInvalidMemory},
			{"proxy_get_property", []any{"", out(0), out(1)}, statusNotFound},
			{"proxy_set_property", []any{"a", -1, 4}, statusInvalidMemory},
			{"proxy_set_property", []any{"a", strings.Repeat("v", exchange.MaxPropertyBytes)}, statusBadArgument},
			{"proxy_set_property", []any{"set_decoder_buffer_limit", "much"}, statusBadArgument},
			{"proxy_call_foreign_function", []any{-1, 4, "", out(0), out(1)}, statusInvalidMemory},
			{"proxy_call_foreign_function", []any{"compress", -1, 4, out(0), out(1)}, statusInvalidMemory},
			{"proxy_call_foreign_function", []any{"resolve_lua", "", out(0), out(1)}, statusNotFound},
			{"proxy_call_foreign_function", []any{"uncompress", "text", out(0), out(1)}, 3},
			{"proxy_call_foreign_function", []any{"clear_route_cache", "", 0, 0}, statusOK},
			{"proxy_call_foreign_function", []any{"compress", "text", 0, 0}, statusOK},
		} {
			if got := g.call(tc.name, tc.args...); got != tc.want {
				t.Errorf("%s(%.40q): status %d, want %d", tc.name, tc.args, got, tc.want)
			}
		}
		return 0
	}}), newExchange("GET", "/"))
}

// A function's result is in the guest's own memory.
func TestForeignFunction(t *testing.T) {
	carry(load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		foreign := func(name, args string) string {
			if st := g.call("proxy_call_foreign_function", name, args, out(0), out(1)); st != statusOK {
				t.Errorf("%s: status %d", name, st)
				return ""
			}
			return g.result(0)
		}
		if got := foreign("uncompress", foreign("compress", "text")); got != "text" {
			t.Errorf("got %q, want \"text\"", got)
		}
		token := foreign("expr_create", `request.path + "!"`)
		if got := foreign("expr_evaluate", token); got != "/a!" {
			t.Errorf("got %q, want \"/a!\"", got)
		}
		return 0
	}}), newExchange("GET", "/a"))
}

// An expression that one instance made is known to all.
func TestExpressionsAreThePolicys(t *testing.T) {
	var token string
	s := script{"request_headers": func(g *guest, _ []uint32) uint32 {
		if token == "" {
			g.call("proxy_call_foreign_function", "expr_create", "request.method", out(0), out(1))
			token = g.result(0)
		}
		if st := g.call("proxy_call_foreign_function", "expr_evaluate", token, out(0), out(1)); st != statusOK || g.result(0) != "GET" {
			t.Errorf("status %d", st)
		}
		return 0
	}}
	p := load(t, s, func(s *policy.Spec) { s.Settings.Isolation = "exchange" })
	for range 3 {
		if c := carry(p, newExchange("GET", "/")); c.requestErr != nil {
			t.Error(c.requestErr)
		}
	}
}

// A guest may hold another amount of a body, within what the manifest allows.
func TestGuestAsksToHoldOtherAmounts(t *testing.T) {
	for _, tc := range []struct {
		name, asked string
		limit       int64
		body        int
		refused     bool
	}{
		{"less", "100", 1 << 20, 200, true},
		{"enough", "200", 1 << 20, 200, false},
		{"more than is allowed", "1000000", 100, 200, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := load(t, script{
				"request_headers": func(g *guest, _ []uint32) uint32 {
					if st := g.setProperty("set_decoder_buffer_limit", tc.asked); st != statusOK {
						t.Errorf("status %d", st)
					}
					return 0
				},
				"request_body": func(_ *guest, args []uint32) uint32 { return 1 - args[2] },
			}, func(s *policy.Spec) { s.Settings.Limits.RequestBody = manifest.Size(tc.limit) })
			c := carry(p, withBody(newExchange("POST", "/"), strings.Repeat("x", tc.body/2), strings.Repeat("x", tc.body/2)))
			if refused := c.sentErr != nil; refused != tc.refused {
				t.Errorf("got %v, want it refused: %v", c.sentErr, tc.refused)
			}
		})
	}
}

// A guest that asks for another instance has no exchange after it has those that
// it is in.
func TestGuestAsksToBeReplaced(t *testing.T) {
	var vms []any
	p := load(t, script{"request_headers": func(g *guest, _ []uint32) uint32 {
		if len(vms) == 1 {
			g.setProperty("wasm_need_rebuild", "true")
		}
		vms = append(vms, g.mod)
		return 0
	}})
	for range 4 {
		if c := carry(p, newExchange("GET", "/")); c.requestErr != nil {
			t.Fatal(c.requestErr)
		}
	}
	if vms[0] != vms[1] || vms[1] == vms[2] || vms[2] != vms[3] {
		t.Errorf("instances %v, want another one from the third exchange on", vms)
	}
	for deadline := time.Now().Add(10 * time.Second); p.Stats().Instances != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d instances, want one", p.Stats().Instances)
		}
	}
	if s := p.Stats(); s.Created != 2 || s.Discarded != 0 {
		t.Errorf("got %+v, want two created", s)
	}
}
