package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkForward measures a GET with a 1 KiB answer from an endpoint that does
// as little as it can, so that what is measured is mostly ours.
func BenchmarkForward(b *testing.B) {
	answer := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)
	h1 := raw(b, func(c net.Conn, _ int) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				io.WriteString(c, answer)
			}
		}
	})
	h2 := plain(b, true, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer[:1024]) })
	for name, url := range map[string]string{"h1": h1, "h2c": h2.URL, "echo": "ergo:echo"} {
		b.Run(name, func(b *testing.B) {
			up := settings(url)
			up.Balance = "least-request"
			if name == "h2c" {
				up.Protocol = "h2"
			}
			set := build(b, registry(b), up)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				// One exchange after the other, in memory that is used again.
				x, call, buffer := ask("GET", "/bytes/1024", ""), new(Call), make([]byte, 32<<10)
				for pb.Next() {
					x.Request.Method, x.Request.Scheme, x.Request.Authority, x.Request.Target = "GET", "http", "site.example", "/bytes/1024"
					x.Request.Header.Add("accept", "*/*")
					x.Request.Header.Add("x-request-id", "0123456789abcdef")
					if f := set.ForwardBy(call, x, "up"); f != nil {
						b.Fatal(f)
					}
					var err error
					for err == nil {
						_, err = x.Response.Body.Read(buffer)
					}
					if err != io.EOF {
						b.Fatal(err)
					}
					x.Response.Body.Close()
					call = call.Reset()
					x.Reset()
				}
			})
		})
	}
}
