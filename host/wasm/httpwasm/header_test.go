package httpwasm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

func TestHeaderNames(t *testing.T) {
	const want = "host\x00accept\x00x-many\x00"
	c := carry(t, script{request: []step{
		do("get_header_names", requestFields, out(0), room),
		do("get_header_names", requestFields, out(1), len(want)-1),
	}}, newExchange())
	c.request(policy.Continue)
	if got := c.text(0); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.result(0) >> 32; got != 3 {
		t.Errorf("got count %d, want 3", got)
	}
	if got := c.result(1); got != c.result(0) {
		t.Errorf("without room got %x, want %x", got, c.result(0))
	}
	if got := c.memory(out(1), 1)[0]; got != 0 {
		t.Error("names that do not fit were written in part")
	}
}

func TestHeaderValues(t *testing.T) {
	cases := []struct {
		name, want string
		count      uint64
	}{
		{"accept", "text/html\x00", 1},
		{"ACCEPT", "text/html\x00", 1},
		{"x-many", "one\x00two\x00", 2},
		{"host", "site.example:8443\x00", 1},
		{"Host", "site.example:8443\x00", 1},
		{"absent", "", 0},
	}
	for _, tc := range cases {
		c := carry(t, script{request: []step{do("get_header_values", requestFields, tc.name, out(0), room)}}, newExchange())
		c.request(policy.Continue)
		if got := c.text(0); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if got := c.result(0) >> 32; got != tc.count {
			t.Errorf("%s: got count %d, want %d", tc.name, got, tc.count)
		}
	}
}

// A guest may have one buffer for the name and for what comes back.
func TestHeaderValuesOverTheirName(t *testing.T) {
	s := script{request: []step{do("get_header_values", requestFields, "x-many", recordsAt+recordLen, room)}}
	c := carry(t, s, newExchange())
	c.request(policy.Continue)
	if got, want := string(c.memory(recordsAt+recordLen, 8)), "one\x00two\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHeaderChanges(t *testing.T) {
	cases := []struct {
		what string
		step step
		want string // all fields, then the authority
	}{
		{"set a new one", do("set_header_value", requestFields, "x-new", "1"), "Accept:text/html X-Many:one x-many:two x-new:1 @site.example:8443"},
		{"set leaves one", do("set_header_value", requestFields, "X-MANY", "3"), "Accept:text/html X-Many:3 @site.example:8443"},
		{"add", do("add_header_value", requestFields, "accept", "b"), "Accept:text/html X-Many:one x-many:two accept:b @site.example:8443"},
		{"remove", do("remove_header", requestFields, "x-many"), "Accept:text/html @site.example:8443"},
		{"remove what is not there", do("remove_header", requestFields, "absent"), "Accept:text/html X-Many:one x-many:two @site.example:8443"},
		{"white space around a value", do("set_header_value", requestFields, "accept", " b\t"), "Accept:b X-Many:one x-many:two @site.example:8443"},
		{"an empty value", do("set_header_value", requestFields, "accept", ""), "Accept: X-Many:one x-many:two @site.example:8443"},
		{"host", do("set_header_value", requestFields, "Host", "other.example"), "Accept:text/html X-Many:one x-many:two @other.example"},
		{"host can't be removed", do("remove_header", requestFields, "host"), "Accept:text/html X-Many:one x-many:two @site.example:8443"},
		{"framing is the host's", do("set_header_value", requestFields, "Content-Length", "7"), "Accept:text/html X-Many:one x-many:two @site.example:8443"},
		{"and so is the connection", do("add_header_value", requestFields, "transfer-encoding", "chunked"), "Accept:text/html X-Many:one x-many:two @site.example:8443"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			carry(t, script{request: []step{tc.step}}, x).request(policy.Continue)
			if got := fieldsText(&x.Request.Header) + " @" + x.Request.Authority; got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func fieldsText(h *exchange.Header) string {
	var list []string
	for _, f := range h.Fields() {
		list = append(list, f.Name+":"+f.Value)
	}
	return strings.Join(list, " ")
}

// Fields of a response that is not there yet wait for it, whether the guest
// answers or the upstream does.
func TestResponseHeaderBeforeTheResponse(t *testing.T) {
	s := script{request: []step{
		do("set_header_value", responseFields, "x-early", "1"),
		do("set_header_value", responseFields, "x-early", "2"),
		do("add_header_value", responseFields, "Set-Cookie", "a=b"),
		do("get_header_values", responseFields, "x-early", out(3), room),
	}}
	x := newExchange()
	c := carry(t, s, x)
	c.request(policy.Continue)
	if got, want := c.text(3), "2\x00"; got != want {
		t.Errorf("the guest reads %q, want %q", got, want)
	}
	answered(x, 200, "")
	x.Response.Header.Add("Set-Cookie", "c=d")
	c.response()
	if got, want := fieldsText(&x.Response.Header), "Content-Type:text/plain Set-Cookie:c=d x-early:2 Set-Cookie:a=b"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResponseHeaderWithoutBuffering(t *testing.T) {
	x := newExchange()
	c := carry(t, script{response: []step{
		do("get_header_names", responseFields, out(0), room),
		do("set_header_value", responseFields, "x-policy", "1"),
		do("remove_header", responseFields, "content-type"),
		do("get_status_code"),
	}}, x)
	c.request(policy.Continue)
	answered(x, 201, "text")
	before := x.Response.Body
	c.response()
	if got, want := c.text(0), "content-type\x00"; got != want {
		t.Errorf("got names %q, want %q", got, want)
	}
	if got, want := fieldsText(&x.Response.Header), "x-policy:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := c.result(3); got != 201 {
		t.Errorf("got status %d, want 201", got)
	}
	if x.Response.Body != before {
		t.Error("the body was touched")
	}
}

// The bound is on what a guest adds, so that a client with many or long fields
// makes no policy trap.
func TestHeaderBounds(t *testing.T) {
	many := func(n int, st step) []step { return slices.Repeat([]step{st}, n) }
	add := do("add_header_value", requestFields, "x", "1")
	// The first step brings the text; the others point to it.
	const half = 16 << 10
	text := recordsAt + recordLen*(maxFieldBytes/half+2) + 1
	longOnes := append([]step{do("add_header_value", requestFields, "x", strings.Repeat("v", half))},
		many(maxFieldBytes/half, do("add_header_value", requestFields, text, 8, text, half))...)
	trailer := []step{do("enable_features", 4)}
	cases := []struct {
		what  string
		steps []step
		trap  string
	}{
		{"as many as are possible", many(maxFields, add), ""},
		{"one more", many(maxFields+1, add), "1024 fields"},
		{"set again and again", many(maxFields+1, do("set_header_value", responseFields, "x", "1")), "1024 fields"},
		{"all together", slices.Concat(many(maxFields/2, add), many(maxFields/2+1, do("add_header_value", responseFields, "x", "1"))), "1024 fields"},
		{"trailers in advance", slices.Concat(trailer, many(maxFields+1, do("add_header_value", requestTrailers, "x", "1"))), "1024 fields"},
		{"trailers removed in advance", slices.Concat(trailer, many(maxFields+1, do("remove_header", requestTrailers, "x"))), "1024 trailers"},
		{"long ones", longOnes, "bytes"},
		{"removed", many(maxFields+1, do("remove_header", requestFields, "x")), ""},
	}
	engine := openEngine(t)
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			s := script{request: append([]step{do("grow", 8)}, tc.steps...)}
			x := newExchange()
			x.Request.Body, x.Request.Length = textBody("text"), 4
			for range 2 * maxFields {
				x.Request.Header.Add("x-sent", "1")
			}
			p := loadSpec(t, engine, specOf(s))
			c := carryWith(t, p, s, x)
			_, err := p.OnRequestHead(c.session, x)
			if tc.trap == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantKind(t, err, policy.Trap)
			if !strings.Contains(err.Error(), tc.trap) {
				t.Errorf("%v\ndoes not say %q", err, tc.trap)
			}
		})
	}
}

func TestNamesOfManyFields(t *testing.T) {
	x := newExchange()
	want := "host\x00accept\x00x-many\x00"
	for i := range 2 * fewFields {
		x.Request.Header.Add(fmt.Sprintf("X-%d", i), "")
		x.Request.Header.Add(fmt.Sprintf("x-%d", i), "")
		want += fmt.Sprintf("x-%d\x00", i)
	}
	c := carry(t, script{request: []step{do("get_header_names", requestFields, out(0), room)}}, x)
	c.request(policy.Continue)
	if got := c.text(0); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.result(0) >> 32; got != 3+2*fewFields {
		t.Errorf("%d names, want %d", got, 3+2*fewFields)
	}
}
