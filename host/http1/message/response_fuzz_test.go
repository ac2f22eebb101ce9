package message

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// methodOf makes fuzzing try what HEAD changes.
func methodOf(head bool) string {
	if head {
		return "HEAD"
	}
	return "GET"
}

func seedResponses(f *testing.F) {
	f.Add([]byte(nginxResponse), false, uint16(7))
	for _, test := range answered {
		f.Add([]byte(test.input+"hello"), test.method == "HEAD", uint16(20))
	}
	for _, test := range unanswered {
		f.Add([]byte(test.input+"hello"), test.method == "HEAD", uint16(30))
	}
	for _, test := range bodies {
		f.Add([]byte(chunkedResponse+test.input), false, uint16(60))
	}
	for _, test := range badBodies {
		f.Add([]byte(chunkedResponse+test.input), false, uint16(60))
	}
}

const chunkedResponse = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	seedResponses(f)
	f.Fuzz(func(t *testing.T, input []byte, head bool, cut uint16) {
		method := methodOf(head)
		want, wantSize, wantErr := parseResponse(string(input), method, fuzzLimits)
		var p ResponseParser
		r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		steps := []int{min(int(cut), len(input)), min(int(cut)+1, len(input))}
		size, err := inPieces(string(input), steps, func(buf []byte) (int, error) { return p.Parse(buf, &fuzzLimits, method, &r) })
		if size != wantSize || err != wantErr {
			t.Fatalf("in pieces: got %d, %v, want %d, %v", size, err, wantSize, wantErr)
		}
		if size == 0 || err != nil {
			return
		}
		if got := describeResponse(&r); got != want {
			t.Fatalf("in pieces: got %s, want %s", got, want)
		}
		checkSoundResponse(t, &r)
		checkWrittenResponse(t, &r, method)
	})
}

func checkSoundResponse(t *testing.T, r *ResponseHead) {
	if r.Status < 100 || r.Status > 599 || !validValue(r.Reason) {
		t.Errorf("status line %d %q", r.Status, r.Reason)
	}
	if r.NoBody && (r.Framing.Chunked || r.Framing.UntilClose) || r.Framing.UntilClose && !r.Close {
		t.Errorf("framing %+v, no body %v, close %v", r.Framing, r.NoBody, r.Close)
	}
	checkSoundFields(t, r.Header)
}

// checkWrittenResponse writes a head that was read, and reads it again.
func checkWrittenResponse(t *testing.T, r *ResponseHead, method string) {
	r.Version = exchange.HTTP11
	if r.Status < 200 {
		r.Close = false // goes for the final response
	}
	written, err := AppendResponseHead(nil, r)
	if err != nil {
		t.Fatalf("%s: %v", describeResponse(r), err)
	}
	var p ResponseParser
	again := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
	size, err := p.Parse(written, &Limits{}, method, &again)
	if size != len(written) || err != nil {
		t.Fatalf("%q: got %d of %d, %v", written, size, len(written), err)
	}
	for _, head := range []*ResponseHead{r, &again} {
		head.Reason = ""
		head.Header.Del("Content-Length")
		if head.NoBody { // the trailers of a response to HEAD are not announced
			head.Trailer.Reset()
		}
	}
	if got, want := describeResponse(&again), describeResponse(r); got != want {
		t.Errorf("written and read again:\n got %s\nwant %s", got, want)
	}
}

// FuzzResponseLikeNetHTTP is FuzzRequestLikeNetHTTP for responses.
func FuzzResponseLikeNetHTTP(f *testing.F) {
	seedResponses(f)
	f.Fuzz(func(t *testing.T, input []byte, head bool, _ uint16) { readAsResponse(t, input, methodOf(head)) })
}
