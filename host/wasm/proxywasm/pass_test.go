package proxywasm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
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
