package http1

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// typical heads, for measurements.
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

func BenchmarkRequest(b *testing.B) {
	for _, bench := range []struct{ name, head string }{{"wrk", wrkRequest}, {"browser", browserRequest}} {
		b.Run(bench.name, func(b *testing.B) {
			buf := []byte(bench.head)
			var p RequestParser
			r := RequestHead{Header: &exchange.Header{}}
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				p.Reset()
				if n, err := p.Parse(buf, &Limits{HeaderBytes: 64 << 10, HeaderCount: 128}, &r); n != len(buf) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
