package httpwasm

import (
	"errors"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

const outside = 1 << 30 // beyond the guest's memory

// Every failure of the ABI is a trap, and a trap is the policy's failure.
func TestTraps(t *testing.T) {
	request := func(steps ...step) script { return script{request: steps} }
	response := func(steps ...step) script { return script{response: steps} }
	cases := []struct {
		what   string
		script script
		says   string
	}{
		{"unreachable", request(do("trap")), "unreachable"},
		{"exit", request(do("exit", 3)), "proc_exit(3)"},
		{"exit without an error", request(do("exit", 0)), "proc_exit(0)"},
		{"deep recursion", request(do("recurse")), "stack overflow"},
		{"empty method", request(do("set_method", "")), "method"},
		{"method with a space", request(do("set_method", "GE T")), "method"},
		{"CONNECT", request(do("set_method", "CONNECT")), "method"},
		{"URI with a line break", request(do("set_uri", "/\r\nx: y")), "URI"},
		{"URI of another site", request(do("set_uri", "http://other.example/")), "URI"},
		{"unknown header kind", request(do("get_header_names", 4, out(0), room)), "header kind 4"},
		{"unknown header kind to set", request(do("set_header_value", 9, "a", "b")), "header kind 9"},
		{"empty header name to get", request(do("get_header_values", 0, "", out(0), room)), "empty"},
		{"empty header name to set", request(do("set_header_value", 0, "", "b")), "empty"},
		{"empty header name to remove", request(do("remove_header", 0, "")), "empty"},
		{"header name with a colon", request(do("set_header_value", 0, "a:b", "c")), "header name"},
		{"value that splits the message", request(do("add_header_value", 0, "a", "b\r\nc: d")), "control character"},
		{"value with NUL", request(do("add_header_value", 1, "a", "b\x00c")), "control character"},
		{"host that is none", request(do("set_header_value", 0, "host", "a b")), "host"},
		{"huge value", request(do("set_header_value", 0, "a", strings.Repeat("b", 40<<10)+strings.Repeat("b", 10<<10)), do("set_header_value", 0, 4112, 1, 4112, 70000)), "header name"},
		{"huge name", request(do("set_header_value", 0, out(0), maxNameBytes+1, 0, 0)), "1024 bytes"},
		{"huge name to look for", request(do("get_header_values", 0, out(0), -1, 0, 0)), "1024 bytes"},
		{"huge method", request(do("set_method", 0, -1)), "1024 bytes"},
		{"huge URI", request(do("set_uri", 0, -1)), "65536 bytes"},
		{"trailer without the feature", request(do("set_header_value", 3, "a", "b")), "feature trailers"},
		{"no room to read a body", request(do("read_body", 0, out(0), 0)), "room"},
		{"unknown body kind to read", request(do("read_body", 2, out(0), 8)), "body kind 2"},
		{"unknown body kind to write", request(do("write_body", 2, "x")), "body kind 2"},
		{"status of an interim response", request(do("set_status_code", 103)), "103"},
		{"status that is none", request(do("set_status_code", 1000)), "1000"},

		{"get to outside", request(do("get_method", outside, room)), "outside"},
		{"get over the end", request(do("get_uri", 2*65536-3, room)), "outside"},
		{"get with all room there is", request(do("get_uri", outside, -1)), "outside"},
		{"set from outside", request(do("set_method", outside, 3)), "outside"},
		{"set of all memory and more", request(do("set_method", 2*65536-8, 9)), "outside"},
		{"header name outside", request(do("set_header_value", 0, outside, 1, 0, 0)), "outside"},
		{"header value outside", request(do("set_header_value", 0, 4112, 1, outside, 1)), "outside"},
		{"names to outside", request(do("get_header_names", 0, outside, room)), "outside"},
		{"values to outside", request(do("get_header_values", 0, "accept", outside, room)), "outside"},
		{"config to outside", request(do("get_config", outside, 60000)), "outside"},
		{"source to outside", request(do("get_source_addr", outside, room)), "outside"},
		{"body to outside", request(do("read_body", 0, outside, 8)), "outside"},
		{"body from outside", request(do("write_body", 0, outside, 8)), "outside"},

		{"set method too late", response(do("set_method", "GET")), "went on"},
		{"set URI too late", response(do("set_uri", "/")), "went on"},
		{"set request header too late", response(do("set_header_value", 0, "a", "b")), "went on"},
		{"add request header too late", response(do("add_header_value", 0, "a", "b")), "went on"},
		{"remove request header too late", response(do("remove_header", 0, "a")), "went on"},
		{"set request trailer too late", response(do("enable_features", 4), do("set_header_value", 2, "a", "b")), "went on"},
		{"write request body too late", response(do("write_body", 0, "x")), "went on"},
		{"read request body too late", response(do("read_body", 0, out(0), 8)), "buffer_request"},
		{"read response body that is not held", response(do("read_body", 1, out(0), 8)), "buffer_response"},
		{"write response body that is not held", response(do("write_body", 1, "x")), "buffer_response"},
		{"set status of a response that is not held", response(do("set_status_code", 404)), "buffer_response"},
		{"hold a response whose head was seen", response(do("enable_features", 2), do("set_status_code", 404)), "buffer_response"},
	}
	engine := openEngine(t)
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			x.Request.Body, x.Request.Length = textBody("text"), 4
			p := loadSpec(t, engine, specOf(tc.script))
			c := carryWith(t, p, tc.script, x)
			_, err := p.OnRequestHead(c.session, x)
			if len(tc.script.response) > 0 {
				if err != nil {
					t.Fatal(err)
				}
				answered(x, 200, "text")
				err = p.OnResponseHead(c.session, x)
			}
			wantKind(t, err, policy.Trap)
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v\ndoes not say %q", err, tc.says)
			}
			if s := p.Stats(); s.Discarded != 1 || s.Instances != 0 {
				t.Errorf("the instance is not gone: %+v", s)
			}
		})
	}
}

// A trap in one exchange is nothing to the next: it gets a new instance.
func TestTrappedInstanceIsNotUsedAgain(t *testing.T) {
	p := load(t, script{request: []step{do("get_method", out(0), room), do("trap")}})
	for range 3 {
		x := newExchange()
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.OnRequestHead(i, x)
		wantKind(t, err, policy.Trap)
		if err := p.OnResponseHead(i, x); err != nil {
			t.Errorf("a policy that failed is asked about the response: %v", err)
		}
		p.Release(i)
	}
	if got := p.Stats(); got.Created != 3 || got.Discarded != 3 || got.Busy != 0 {
		t.Errorf("got %+v, want 3 instances made and discarded", got)
	}
}

func TestLogDoesNotTrap(t *testing.T) {
	carry(t, script{request: []step{
		do("log", 0, outside, 10),
		do("log", 77, "unknown level"),
		do("log", 3, "none"),
		do("log_enabled", 77),
	}}, newExchange()).request(policy.Continue)
}

// At the start there is no exchange to act on.
func TestNoExchangeAtTheStart(t *testing.T) {
	for _, st := range []step{
		do("get_method", out(0), room), do("set_uri", "/"), do("get_header_names", 0, out(0), room),
		do("set_header_value", 0, "a", "b"), do("read_body", 0, out(0), 8), do("write_body", 1, "x"),
		do("get_status_code"), do("set_status_code", 200), do("get_source_addr", out(0), room),
	} {
		_, err := NewLoader(openEngine(t)).Load(t.Context(), specOf(script{start: []step{st}}))
		wantKind(t, err, policy.Config)
		if !errors.Is(err, wasm.ErrNoExchange) {
			t.Errorf("%s: %v, want %v", st.op, err, wasm.ErrNoExchange)
		}
	}
}
