package message

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Typical heads, for measurements.
const (
	wrkRequest = "GET /items/1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: wrk/4.2.0\r\nAccept: */*\r\n" +
		"X-Api-Key: 0123456789abcdef\r\nConnection: keep-alive\r\n\r\n"
	browserRequest = "GET /assets/app/main.js?v=20240611 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
		"sec-ch-ua-platform: \"Linux\"\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\n" +
		"Sec-Fetch-Dest: script\r\nReferer: https://www.example.com/products/list?page=2\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nIf-None-Match: \"5f3c-61a7b2c9d4e80\"\r\n" +
		"Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1\r\n\r\n"
)

// typicalHeads are heads of common clients and of an origin. An empty method is
// for a request.
var typicalHeads = []struct{ name, head, method string }{
	{"wrk", wrkRequest, ""},
	{"browser", browserRequest, ""},
	{"nginx", nginxResponse, "GET"},
}

var typicalLimits = Limits{HeaderBytes: 64 << 10, HeaderCount: 128}

// headParser parses heads of one kind, again and again.
type headParser struct {
	buf      []byte
	method   string
	requests RequestParser
	answers  ResponseParser
	request  RequestHead
	response ResponseHead
}

func newHeadParser(head, method string) *headParser {
	h, trailer := &exchange.Header{}, &exchange.Header{}
	return &headParser{
		buf: []byte(head), method: method,
		request:  RequestHead{Header: h, Trailer: trailer},
		response: ResponseHead{Header: h, Trailer: trailer},
	}
}

func (p *headParser) parse(tb testing.TB) {
	var n int
	var err error
	if p.method == "" {
		p.requests.Reset()
		n, err = p.requests.Parse(p.buf, &typicalLimits, &p.request)
	} else {
		p.answers.Reset()
		n, err = p.answers.Parse(p.buf, &typicalLimits, p.method, &p.response)
	}
	if n != len(p.buf) || err != nil {
		tb.Fatal(n, err)
	}
}

func (p *headParser) append(tb testing.TB, dst []byte) []byte {
	var err error
	if p.method == "" {
		dst, err = AppendRequestHead(dst, &p.request)
	} else {
		dst, err = AppendResponseHead(dst, &p.response)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dst
}

func TestHeadsAllocateNothing(t *testing.T) {
	for _, test := range typicalHeads {
		p := newHeadParser(test.head, test.method)
		var store [4096]byte
		if n := testing.AllocsPerRun(100, func() {
			p.parse(t)
			p.append(t, store[:0])
		}); n != 0 {
			t.Errorf("%s: got %v allocations, want none", test.name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range typicalHeads {
		b.Run(bench.name, func(b *testing.B) {
			p := newHeadParser(bench.head, bench.method)
			b.SetBytes(int64(len(bench.head)))
			b.ReportAllocs()
			for b.Loop() {
				p.parse(b)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, bench := range typicalHeads {
		b.Run(bench.name, func(b *testing.B) {
			p := newHeadParser(bench.head, bench.method)
			p.parse(b)
			dst := p.append(b, nil)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = p.append(b, dst[:0])
			}
		})
	}
}
