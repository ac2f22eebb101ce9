package message

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// FuzzAppendHead checks that whatever a policy puts into a head is refused, or is
// read as what it was and nothing more.
func FuzzAppendHead(f *testing.F) {
	f.Add("GET", "/a?b", "h:80", "A", "1", "")
	f.Add("OPTIONS", "*", "[::1]", "TE", "trailers", "websocket")
	f.Add("POST", "/", "h", "Content-Length", "5", "h2c")
	f.Add("GET", "/ HTTP/1.1\r\nA: b", "h\r\n", "A: b\r\nC", "d\r\n\r\nGET / HTTP/1.1", "a\r\nB: c")
	for _, field := range unwritable {
		f.Add("GET", "/", "h", field.name, field.value, field.value)
	}
	f.Fuzz(func(t *testing.T, method, target, authority, name, value, upgrade string) {
		h := header(name, value, "Last", "2")
		fields := header(name, strings.Trim(value, " \t"), "Last", "2")
		for i := fields.Len() - 1; i >= 0; i-- {
			if id := fields.KnownAt(i); ofConnection>>id&1 == 1 {
				fields.Del(fields.At(i).Name)
			}
		}
		exchange.RemoveHopByHop(fields)
		request := RequestHead{Method: method, Target: target, Authority: authority, Header: h, Upgrade: upgrade}
		if written, err := AppendRequestHead(nil, &request); err == nil {
			checkReadRequest(t, written, &request, fields)
		} else if len(written) > 0 {
			t.Errorf("%q was written with %v", written, err)
		}
		response := ResponseHead{Status: 101, Header: h, Upgrade: upgrade, Framing: unknown}
		if written, err := AppendResponseHead(nil, &response); err == nil {
			checkReadResponse(t, written, fields)
		} else if len(written) > 0 {
			t.Errorf("%q was written with %v", written, err)
		}
	})
}

func checkReadRequest(t *testing.T, written []byte, want *RequestHead, fields *exchange.Header) {
	var p RequestParser
	got := RequestHead{Header: &exchange.Header{}}
	size, err := p.Parse(written, &Limits{}, &got)
	if err == ErrExpect {
		return // sound, and refused for what it means
	}
	if size != len(written) || err != nil {
		t.Fatalf("%q: got %d, %v", written, size, err)
	}
	if got.Method != want.Method || got.Target != want.Target || got.Authority != want.Authority || got.Framing.HasBody() {
		t.Errorf("%q: got %s", written, describeRequest(&got))
	}
	checkSameFields(t, written, got.Header, fields)
}

func checkReadResponse(t *testing.T, written []byte, fields *exchange.Header) {
	var p ResponseParser
	got := ResponseHead{Header: &exchange.Header{}}
	size, err := p.Parse(written, &Limits{}, "GET", &got)
	if size != len(written) || err != nil {
		t.Fatalf("%q: got %d, %v", written, size, err)
	}
	checkSameFields(t, written, got.Header, fields)
}

// checkSameFields compares fields but for a length, which the writer tells.
func checkSameFields(t *testing.T, written []byte, got, want *exchange.Header) {
	got.Del("Content-Length")
	if a, b := describeFields(got), describeFields(want); a != b {
		t.Errorf("%q: got %q, want %q", written, a, b)
	}
}
