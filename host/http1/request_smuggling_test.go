package http1

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/internal/smuggling"
)

// Each request that is known to be read in two ways is refused, in its head or in
// its body, or read to its last byte as one.
func TestSmuggledRequests(t *testing.T) {
	for _, test := range smuggling.Requests() {
		status, target, body := readConnection(test.Bytes)
		if status != test.Status || status == 0 && (target != "/a" || body != test.Body) {
			t.Errorf("%s: got %d, %s, %q, want %d, %q", test.Name, status, target, body, test.Status, test.Body)
		}
		checkRequestInPieces(t, test.Bytes, Limits{})
	}
}

// readConnection reads one request and wants nothing to follow it: status is -1
// then.
func readConnection(input string) (status int, target, body string) {
	var p RequestParser
	r := RequestHead{Header: &exchange.Header{}}
	size, err := p.Parse([]byte(input), &Limits{}, &r)
	if bad, ok := err.(*Error); ok {
		return bad.Status, "", ""
	}
	read := readBody(r.Framing, []byte(input[size:]))
	if bad, ok := read.err.(*Error); ok {
		return bad.Status, "", ""
	}
	if size == 0 || !read.whole || size+read.taken != len(input) {
		return -1, r.Target, read.body
	}
	return 0, r.Target, read.body
}

func TestSmuggledResponses(t *testing.T) {
	for _, test := range smuggling.Responses() {
		method := test.Method
		if method == "" {
			method = "GET"
		}
		var p ResponseParser
		r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		size, err := p.Parse([]byte(test.Bytes), &Limits{}, method, &r)
		if (err != nil) != test.Refused {
			t.Errorf("%s: got %v, %s", test.Name, err, describeResponse(&r))
		}
		checkResponseInPieces(t, test.Bytes, method, Limits{})
		if err != nil {
			continue
		}
		framing := r.Framing
		if r.NoBody {
			framing = Framing{}
		}
		if got := readBody(framing, []byte(test.Bytes[size:])); size == 0 || !got.whole || got.body != test.Body {
			t.Errorf("%s: got %q, %v, want %q", test.Name, got.body, got.err, test.Body)
		}
	}
}
