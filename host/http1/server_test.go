package http1_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestExchanges(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		body := ""
		if x.Request.Body != nil {
			b, err := io.ReadAll(x.Request.Body)
			body = fmt.Sprintf("%s %v", b, err)
		}
		req := &x.Request
		answer(x, 200, fmt.Sprintf("%s %s %s %s %s %d %s", req.Method, req.Scheme, req.Authority, req.Target, req.Version, req.Length, body))
	})
	for _, test := range []struct{ name, request, want string }{
		{"GET", "GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", "GET http h:80 /a?b HTTP/1.1 0 "},
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "POST http h / HTTP/1.1 3 abc <nil>"},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n", "POST http h / HTTP/1.1 -1 abc <nil>"},
		{"absolute", "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET http h /?q HTTP/1.1 0 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole, bytes := d.dial(t), d.dial(t)
			for range 3 {
				whole.send(test.request)
				if resp, got := whole.response("GET"); got != test.want || resp.Close {
					t.Errorf("got %q, close %v, want %q", got, resp.Close, test.want)
				}
			}
			for i := range test.request { // each byte alone
				bytes.send(test.request[i : i+1])
			}
			if _, got := bytes.response("GET"); got != test.want {
				t.Errorf("byte by byte: got %q, want %q", got, test.want)
			}
			pipelined := d.dial(t)
			pipelined.send(strings.Repeat(test.request, 100))
			for range 100 {
				if _, got := pipelined.response("GET"); got != test.want {
					t.Fatalf("pipelined: got %q, want %q", got, test.want)
				}
			}
		})
	}
}

// A head and a small body are one write, and their order and spelling the
// exchange's.
func TestResponseAsItIs(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		x.Response.Header.Add("x-odd", "1")
		x.Response.Header.Add("DATE", "then")
		x.Response.Header.Add("A", "2")
		answer(x, 200, "body")
	})
	p := d.dial(t)
	p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	want := []string{"HTTP/1.1 200 OK", "x-odd: 1", "DATE: then", "A: 2", "Content-Length: 4"}
	if got := p.head(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	p.expect("body")
}
