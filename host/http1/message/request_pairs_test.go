package message

import "testing"

// framingLines are fields that say, or seem to say, how a body ends.
var framingLines = []string{
	"",
	"Content-Length: 0\r\n", "Content-Length: 5\r\n", "Content-Length: 05\r\n", "Content-Length: 6\r\n", "Content-Length: 10\r\n", "content-length:5\r\n",
	"Content-Length: 5 \r\n", "Content-Length: \t5\t\r\n", "Content-Length : 5\r\n", "Content-Length\t: 5\r\n", "Content-Length: +5\r\n",
	"Content-Length: -5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 5, 5\r\n", "Content-Length: 5;\r\n", "Content-Length:\r\n",
	"Content-Length: 5\n", "Content-Length:\n 5\r\n", "Content-Length:\r\n 5\r\n", " Content-Length: 5\r\n", "Content-Length: 5\x00\r\n",
	"Content_Length: 5\r\n", "Content-Length\x00: 5\r\n", "\x00Content-Length: 5\r\n", "Content-Length: 5\r\r\n", "Content-Length: 5e0\r\n",
	"Content-Length: 99999999999999999999\r\n", "Content-Length: 18446744073709551621\r\n", "Content-Length\xa0: 5\r\n",
	"Transfer-Encoding: chunked\r\n", "transfer-encoding:chunked\r\n", "Transfer-Encoding: CHUNKED\r\n", "Transfer-Encoding: chunked \r\n",
	"Transfer-Encoding : chunked\r\n", "Transfer-Encoding\t: chunked\r\n", "Transfer-Encoding: \x0bchunked\r\n", "Transfer-Encoding: chunked\x0b\r\n",
	"Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
	"Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: 'chunked'\r\n",
	"Transfer-Encoding: chunked;a=b\r\n", "Transfer-Encoding:\r\n chunked\r\n", "Transfer-Encoding:\r\n", "X: y\nTransfer-Encoding: chunked\r\n",
	"X: y\rTransfer-Encoding: chunked\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n", " Transfer-Encoding: chunked\r\n", "Transfer_Encoding: chunked\r\n",
	"Transfer-Encoding: chunked\n", "Transfer-Encoding: chunked\r\r\n", "Transfer-Encoding:: chunked\r\n", "X:X\nTransfer-Encoding: chunked\r\n",
	"Transfer-Encoding: \xffchunked\r\n", "TE: chunked\r\n", "Connection: Transfer-Encoding\r\n", "Connection: Content-Length\r\n",
	"Connection: close, Transfer-Encoding, content-length\r\n", "Trailer: Content-Length\r\n", "Host: other\r\n", "host: h\r\n", "Expect: 100-continue\r\n",
}

// framedBodies are what may follow: bodies of several readings.
var framedBodies = []string{
	"", "hello", "hello!", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
	"5;a=b\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhello0\r\n\r\n", "0\r\nX: y\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\nhello",
}

// All pairs of such fields, in both versions, with all bodies: where net/http
// accepts what we do, it reads the same.
func TestFramingLikeNetHTTP(t *testing.T) {
	both, let := 0, 0
	for version, bodies := range map[string][]string{"1.1": framedBodies, "1.0": framedBodies[:4]} {
		forFramingPairs(func(fields string) {
			for _, body := range bodies {
				ours, theirs := readAsRequest(t, []byte("POST /a HTTP/"+version+"\r\nHost: h\r\n"+fields+"\r\n"+body))
				if ours {
					let++
				}
				if ours && theirs {
					both++
				}
			}
		})
	}
	if both == 0 || let < both {
		t.Errorf("%d messages were let in, %d by both", let, both)
	}
	t.Logf("%d messages were let in, %d of them by net/http as well", let, both)
}

// forFramingPairs calls do with all pairs of fields.
func forFramingPairs(do func(fields string)) {
	for _, first := range framingLines {
		for _, second := range framingLines {
			do(first + second)
		}
	}
}
