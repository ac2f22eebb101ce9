package message

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// TestResponseFramingLikeNetHTTP is TestFramingLikeNetHTTP for responses.
func TestResponseFramingLikeNetHTTP(t *testing.T) {
	both, let := 0, 0
	for _, line := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n"} {
		forFramingPairs(func(fields string) {
			for _, body := range framedBodies[3:6] {
				for _, method := range []string{"GET", "HEAD"} {
					ours, theirs := readAsResponse(t, []byte(line+fields+"\r\n"+body), method)
					if ours {
						let++
					}
					if ours && theirs {
						both++
					}
				}
			}
		})
	}
	if both == 0 || let < both {
		t.Errorf("%d messages were let in, %d by both", let, both)
	}
	t.Logf("%d messages were let in, %d of them by net/http as well", let, both)
}

// readAsResponse is readAsRequest for responses.
func readAsResponse(t *testing.T, input []byte, method string) (ours, theirs bool) {
	t.Helper()
	var p ResponseParser
	r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
	size, err := p.Parse(input, &Limits{}, method, &r)
	ours = size > 0 && err == nil
	source := bytes.NewReader(input)
	reader := bufio.NewReader(source)
	other, err := http.ReadResponse(reader, &http.Request{Method: method})
	if theirs = err == nil; !theirs || !ours {
		return ours, theirs
	}
	if r.Status != other.StatusCode || r.Status >= 200 && r.Close != other.Close {
		t.Errorf("%q to %s: got %s, net/http %d close=%v", input, method, describeResponse(&r), other.StatusCode, other.Close)
	}
	compareFields(t, r.Header, other.Header)
	framing := r.Framing
	if !r.HasBody() {
		framing = Framing{}
	}
	body := readBody(framing, input[size:])
	body.compare(t, size, readTheirs(other.Body, input, source, reader))
	return ours, theirs
}
