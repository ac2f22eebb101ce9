package server_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

const benchRequest = "GET /path?query HTTP/1.1\r\nHost: site.test\r\nUser-Agent: bench\r\nAccept: */*\r\n" +
	"Accept-Encoding: gzip\r\nCookie: a=b\r\nX-Api-Key: secret\r\n\r\n"

// BenchmarkExchange is a request and a response of 1 KiB on a connection that
// stays, as an exchange and, to compare, in net/http's own way.
func BenchmarkExchange(b *testing.B) {
	body := strings.Repeat("x", 1024)
	b.Run("exchange", func(b *testing.B) {
		addr := start(b, func(x *exchange.Exchange) {
			x.Response.Header.Add("Content-Type", "text/plain")
			answer(x, 200, body)
		}, settings())
		benchmark(b, addr)
	})
	b.Run("net/http", func(b *testing.B) {
		backend := hosttest.Serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{"text/plain"}
			io.WriteString(w, body)
		}))
		benchmark(b, backend.Addr)
	})
}

func benchmark(b *testing.B, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buffer := make([]byte, 4096)
	length := 0 // of the response, known after the first one
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(c, benchRequest); err != nil {
			b.Fatal(err)
		}
		n, err := io.ReadAtLeast(c, buffer, max(length, 1))
		if err != nil {
			b.Fatal(err)
		}
		length = n
	}
}
