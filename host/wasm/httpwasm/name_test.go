package httpwasm

import (
	"fmt"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
)

// More names than are remembered, again and again, are not taken for each other.
func TestManyNames(t *testing.T) {
	const names = 3 * nameSets * nameWays
	var s script
	for n := range names {
		s.request = append(s.request, do("set_header_value", requestFields, fmt.Sprintf("x-%d", n), fmt.Sprint(n)))
	}
	p := load(t, s)
	for range 3 {
		x := newExchange()
		before := x.Request.Header.Len()
		carryWith(t, p, s, x).request(policy.Continue)
		if got := x.Request.Header.Len() - before; got != names {
			t.Errorf("%d fields, want %d", got, names)
		}
		for n := range names {
			if got := x.Request.Header.Value(fmt.Sprintf("x-%d", n)); got != fmt.Sprint(n) {
				t.Errorf("x-%d is %q", n, got)
			}
		}
	}
}

// Another name at the same place is another name.
func TestNameThatChangesInPlace(t *testing.T) {
	s := script{request: []step{
		do("get_method", out(0), room), // POST
		do("set_header_value", requestFields, out(0), 4, out(0), 4),
		do("get_uri", out(0), room), // /a%20b?q=1
		do("get_protocol_version", out(0), room),
		do("set_header_value", requestFields, out(0), 4, out(0), 4), // HTTP
	}}
	x := newExchange()
	carry(t, s, x).request(policy.Continue)
	if x.Request.Header.Value("post") != "POST" || x.Request.Header.Value("http") != "HTTP" {
		t.Errorf("got %s", fieldsText(&x.Request.Header))
	}
}
