package httpwasm

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

func TestGettersOfTheRequest(t *testing.T) {
	cases := []struct{ op, want string }{
		{"get_method", "POST"},
		{"get_uri", "/a%20b?q=1"},
		{"get_protocol_version", "HTTP/2.0"},
		{"get_source_addr", "192.0.2.7:4711"},
	}
	for _, tc := range cases {
		t.Run(tc.op, func(t *testing.T) {
			c := carry(t, script{request: []step{
				do(tc.op, out(0), room),
				do(tc.op, out(1), 0),
				do(tc.op, out(2), len(tc.want)-1),
				do(tc.op, out(3), len(tc.want)),
			}}, newExchange())
			c.request(policy.Continue)
			if got := c.text(0); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for n := range 4 {
				if got := c.result(n); got != uint64(len(tc.want)) {
					t.Errorf("call %d returned length %d, want %d", n, got, len(tc.want))
				}
			}
			if got := c.memory(out(2), 1)[0]; got != 0 {
				t.Error("a value that does not fit was written in part")
			}
			if got := c.text(3); got != tc.want {
				t.Errorf("with just enough room got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestGetConfig(t *testing.T) {
	s := script{request: []step{do("get_config", out(0), room)}}
	c := carry(t, s, newExchange())
	c.request(policy.Continue)
	if got, want := c.text(0), string(s.config()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What Dapr hands over is a text, which may be no JSON.
func TestGetConfigOfText(t *testing.T) {
	s := script{request: []step{do("get_config", out(0), room)}}
	spec := specOf(s)
	spec.Config, _ = json.Marshal(map[string]any{
		"@type": "type.googleapis.com/google.protobuf.BytesValue", "value": s.config(),
	})
	c := carryWith(t, loadSpec(t, openEngine(t), spec), s, newExchange())
	c.request(policy.Continue)
	if got, want := c.text(0), string(s.config()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	spec.Config = []byte(`{"@type":"nonsense"}`)
	_, err := NewLoader(openEngine(t)).Load(t.Context(), spec)
	wantKind(t, err, policy.Config)
}

// Behind a trusted proxy the client is whom the proxy names.
func TestSourceAddress(t *testing.T) {
	cases := []struct{ remote, client, want string }{
		{"[fe80::1]:80", "fe80::1", "[fe80::1]:80"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1", "192.0.2.1:80"},
		{"10.0.0.1:80", "198.51.100.3", "198.51.100.3:0"},
	}
	for _, tc := range cases {
		x := newExchange()
		x.Conn = &exchange.Conn{Remote: netip.MustParseAddrPort(tc.remote)}
		x.ClientIP = netip.MustParseAddr(tc.client)
		c := carry(t, script{request: []step{do("get_source_addr", out(0), room)}}, x)
		c.request(policy.Continue)
		if got := c.text(0); got != tc.want {
			t.Errorf("remote %s, client %s: got %q, want %q", tc.remote, tc.client, got, tc.want)
		}
	}
}

func TestSettersOfTheRequest(t *testing.T) {
	x := newExchange()
	c := carry(t, script{request: []step{
		do("set_method", "PUT"),
		do("set_uri", "/other?x=%26"),
		do("get_method", out(2), room),
	}}, x)
	c.request(policy.Continue)
	if got, want := x.Request.Method, "PUT"; got != want {
		t.Errorf("method %q, want %q", got, want)
	}
	if got, want := x.Request.Target, "/other?x=%26"; got != want {
		t.Errorf("target %q, want %q", got, want)
	}
	if got, want := c.text(2), "PUT"; got != want {
		t.Errorf("the guest reads the method %q, want %q", got, want)
	}
}

func TestEmptyURIIsTheRoot(t *testing.T) {
	x := newExchange()
	c := carry(t, script{request: []step{do("set_uri", "")}}, x)
	c.request(policy.Continue)
	if got := x.Request.Target; got != "/" {
		t.Errorf("target %q, want \"/\"", got)
	}
}

func TestResultTellsTheResponsePhase(t *testing.T) {
	x := newExchange()
	c := carry(t, script{request: []step{do("result", 1, 4242)}}, x)
	c.request(policy.Continue)
	answered(x, 200, "")
	c.response()
	if got := c.memory(4080, 8); string(got) != "\x92\x10\x00\x00\x00\x00\x00\x00" {
		t.Errorf("handle_response got ctx and is_error %x, want 4242 and 0", got)
	}
}
