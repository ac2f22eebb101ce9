package message

import (
	"fmt"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

const nginxResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nDate: Sat, 01 Jun 2024 10:20:30 GMT\r\n" +
	"Content-Type: application/octet-stream\r\nContent-Length: 1024\r\nLast-Modified: Fri, 31 May 2024 08:00:00 GMT\r\n" +
	"Connection: keep-alive\r\nETag: \"6659843a-400\"\r\nAccept-Ranges: bytes\r\n\r\n"

// answered are responses to GET, unless another method is told, and what is read
// of them.
var answered = []struct{ name, method, input, want string }{
	{"length", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", `HTTP/1.1 200 "OK" 5|Content-Length: 5`},
	{"no content", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", `HTTP/1.1 200 "OK" 0|Content-Length: 0`},
	{"chunked", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: A\r\n\r\n", `HTTP/1.1 200 "OK" chunked trailer|A: `},
	{"until the end (RFC 9112, 6.3)", "", "HTTP/1.1 200 OK\r\n\r\n", `HTTP/1.1 200 "OK" close close`},
	{"HTTP/1.0", "", "HTTP/1.0 200 OK\r\n\r\n", `HTTP/1.0 200 "OK" close close`},
	{"HTTP/1.0 with a length", "", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", `HTTP/1.0 200 "OK" 5 close|Content-Length: 5`},
	{"HTTP/1.0 that stays", "", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", `HTTP/1.0 200 "OK" 5|Content-Length: 5`},
	{"HTTP/1.0 that can't stay", "", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", `HTTP/1.0 200 "OK" close close`},
	{"close", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", `HTTP/1.1 200 "OK" 0 close|Content-Length: 0`},
	{"any reason (4)", "", "HTTP/1.1 299 a \tb\xff\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 299 \"a \\tb\\xff\" 0|Content-Length: 0"},
	{"empty reason", "", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", `HTTP/1.1 200 "" 0|Content-Length: 0`},
	{"no reason", "", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", `HTTP/1.1 200 "" 0|Content-Length: 0`},
	{"fields of the connection", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: A\r\nKeep-Alive: 5\r\na: 1\r\nB: 2\r\nUpgrade: h2\r\n\r\n", `HTTP/1.1 200 "OK" 0|Content-Length: 0|B: 2`},
	{"a Host of its own", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nHost: a b\r\n\r\n", `HTTP/1.1 200 "OK" 0|Content-Length: 0`},

	{"HEAD (6.3)", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", `HTTP/1.1 200 "OK" 5 nobody|Content-Length: 5`},
	{"HEAD in chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `HTTP/1.1 200 "OK" - nobody`},
	{"HEAD without length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", `HTTP/1.1 200 "OK" - nobody`},
	{"304", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", `HTTP/1.1 304 "Not Modified" 5 nobody|Content-Length: 5`},
	{"304 in chunks (6.1)", "", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", `HTTP/1.1 304 "Not Modified" - nobody`},
	{"304 alone", "", "HTTP/1.1 304 Not Modified\r\n\r\n", `HTTP/1.1 304 "Not Modified" - nobody`},
	{"204", "", "HTTP/1.1 204 No Content\r\n\r\n", `HTTP/1.1 204 "No Content" - nobody`},
	{"204 with a length of 0 (RFC 9110, 8.6)", "", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", `HTTP/1.1 204 "No Content" - nobody`},
	{"100", "", "HTTP/1.1 100 Continue\r\n\r\n", `HTTP/1.1 100 "Continue" - nobody`},
	{"103", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", `HTTP/1.1 103 "Early Hints" - nobody|Link: </a>`},
	{"101", "", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nA: 1\r\n\r\n", `HTTP/1.1 101 "Switching Protocols" - nobody upgrade="websocket"|A: 1`},
	{"101 without Connection", "", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", `HTTP/1.1 101 "Switching Protocols" - nobody`},
}

// unanswered are responses that are refused, and why.
var unanswered = []struct {
	name, method, input string
	want                *Error
}{
	{"empty line before (RFC 9112, 2.2)", "", "\r\nHTTP/1.1 200 OK\r\n\r\n", ErrVersion},
	{"body without head", "", "<html>\r\n", ErrVersion},
	{"other protocol", "", "ICY 200 OK\r\n\r\n", ErrVersion},
	{"lower case", "", "http/1.1 200 OK\r\n\r\n", ErrVersion},
	{"HTTP/2.0", "", "HTTP/2.0 200 OK\r\n\r\n", ErrUnknownVersion},
	{"HTTP/1.2", "", "HTTP/1.2 200 OK\r\n\r\n", ErrUnknownVersion},
	{"two spaces (4)", "", "HTTP/1.1  200 OK\r\n\r\n", ErrStatusLine},
	{"tab", "", "HTTP/1.1\t200 OK\r\n\r\n", ErrStatusLine},
	{"status of two digits", "", "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
	{"status of four digits", "", "HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine},
	{"signed status", "", "HTTP/1.1 +20 OK\r\n\r\n", ErrStatusLine},
	{"status in words", "", "HTTP/1.1 OK\r\n\r\n", ErrStatusLine},
	{"no status", "", "HTTP/1.1\r\n\r\n", ErrStatusLine},
	{"tab after the status", "", "HTTP/1.1 200\tOK\r\n\r\n", ErrStatusLine},
	{"status 099 (RFC 9110, 15)", "", "HTTP/1.1 099 OK\r\n\r\n", ErrStatus},
	{"status 600", "", "HTTP/1.1 600 OK\r\n\r\n", ErrStatus},
	{"status 999", "", "HTTP/1.1 999 OK\r\n\r\n", ErrStatus},
	{"NUL in the reason", "", "HTTP/1.1 200 O\x00K\r\n\r\n", ErrStatusLine},
	{"LF after the reason (2.2)", "", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", ErrBareLF},
	{"LF after the status", "", "HTTP/1.1 200\nContent-Length: 0\r\n\r\n", ErrBareLF},
	{"LF in the status", "", "HTTP/1.1 \n200 OK\r\n\r\n", ErrBareLF},
	{"CR in the reason", "", "HTTP/1.1 200 O\rK\r\n\r\n", ErrBareCR},

	{"folded value (5.2)", "", "HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n", ErrFolded},
	{"space before a colon (5.1)", "", "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", ErrNameSpace},
	{"NUL in a value", "", "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", ErrValue},
	{"LF in a value", "", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", ErrBareLF},

	{"two lengths (6.3)", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ErrLengths},
	{"two equal lengths", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", ErrLengths},
	{"list of lengths", "", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", ErrLength},
	{"signed length", "", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", ErrLength},
	{"bad length to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ErrLength},
	{"length and chunks (6.1)", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrBothFramed},
	{"length and chunks to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrBothFramed},
	{"chunks twice", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrNotChunked},
	{"unknown coding", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrCoding},
	{"chunks in HTTP/1.0 (6.1)", "", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrOldCoding},
	{"204 in chunks (6.1)", "", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ErrNoContent},
	{"204 with a length (RFC 9110, 8.6)", "", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ErrNoContent},
	{"100 with a length", "", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", ErrNoContent},
	{"101 in chunks", "", "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n", ErrNoContent},
}

func TestResponsesAreRead(t *testing.T) {
	for _, test := range answered {
		got, size, err := parseResponse(test.input, test.method, Limits{})
		if err != nil || got != test.want || size != len(test.input) {
			t.Errorf("%s:\n got %s, %d of %d, %v\nwant %s", test.name, got, size, len(test.input), err, test.want)
		}
	}
}

func TestResponsesAreRefused(t *testing.T) {
	for _, test := range unanswered {
		if got, _, err := parseResponse(test.input, test.method, Limits{}); err != error(test.want) {
			t.Errorf("%s: got %q, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestResponsesInPieces(t *testing.T) {
	checkResponseInPieces(t, nginxResponse, "GET", Limits{})
	checkResponseInPieces(t, nginxResponse, "GET", Limits{HeaderBytes: 100})
	checkResponseInPieces(t, nginxResponse, "GET", Limits{HeaderCount: 3})
	for _, test := range answered {
		checkResponseInPieces(t, test.input, test.method, Limits{})
	}
	for _, test := range unanswered {
		checkResponseInPieces(t, test.input, test.method, Limits{})
	}
}

// checkResponseInPieces is checkRequestInPieces for responses.
func checkResponseInPieces(t *testing.T, input, method string, l Limits) {
	t.Helper()
	want, wantSize, wantErr := parseResponse(input, method, l)
	check := func(how string, steps []int) {
		var p ResponseParser
		r := ResponseHead{Header: &exchange.Header{}, Trailer: &exchange.Header{}}
		size, err := inPieces(input, steps, func(buf []byte) (int, error) { return p.Parse(buf, &l, method, &r) })
		if size != wantSize || err != wantErr || size > 0 && err == nil && describeResponse(&r) != want {
			t.Errorf("%q %s:\n got %d, %v, %s\nwant %d, %v, %s", input, how, size, err, describeResponse(&r), wantSize, wantErr, want)
		}
	}
	for i := range len(input) {
		check(fmt.Sprintf("cut at %d", i), []int{i})
	}
	check("byte by byte", everyByte(input))
}
