package message

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Each request that is known to be read in two ways is refused, in its head or in
// its body, or read to its last byte as one.
func TestSmuggledRequests(t *testing.T) {
	for _, test := range smuggledRequests() {
		status, target, body := readConnection(test.bytes)
		if status != test.status || status == 0 && (target != "/a" || body != test.body) {
			t.Errorf("%s: got %d, %s, %q, want %d, %q", test.name, status, target, body, test.status, test.body)
		}
		if head, _, ok := strings.Cut(test.bytes, "\r\n\r\n"); ok {
			checkRequestInPieces(t, head+"\r\n\r\n", Limits{})
		}
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
	for _, test := range smuggledResponses() {
		method := test.method
		if method == "" {
			method = "GET"
		}
		var p ResponseParser
		r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		size, err := p.Parse([]byte(test.bytes), &Limits{}, method, &r)
		if (err != nil) != test.refused {
			t.Errorf("%s: got %v, %s", test.name, err, describeResponse(&r))
		}
		checkResponseInPieces(t, test.bytes, method, Limits{})
		if err != nil {
			continue
		}
		framing := r.Framing
		if r.NoBody {
			framing = Framing{}
		}
		if got := readBody(framing, []byte(test.bytes[size:])); size == 0 || !got.whole || got.body != test.body {
			t.Errorf("%s: got %q, %v, want %q", test.name, got.body, got.err, test.body)
		}
	}
}

// The sizes that stand in the messages are those of what they hide, and each has
// a name of its own.
func TestSmuggledMessagesAreSound(t *testing.T) {
	if len(hiddenRequest) != 33 || len(hiddenInChunks) != 0x26 {
		t.Errorf("the hidden request has %d bytes, %d in chunks", len(hiddenRequest), len(hiddenInChunks))
	}
	seen := map[string]bool{}
	add := func(name string) {
		if seen[name] {
			t.Errorf("two are named %q", name)
		}
		seen[name] = true
	}
	for _, r := range smuggledRequests() {
		add(r.name)
	}
	for _, r := range smuggledResponses() {
		add("response: " + r.name)
	}
}
