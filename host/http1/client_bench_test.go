package http1_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// answers reads a request of size bytes and answers with text, again and again,
// as cheaply as can be.
func answers(size int, text string) func(net.Conn) {
	return func(c net.Conn) {
		buf, answer := make([]byte, size), []byte(text)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			c.Write(answer)
		}
	}
}

var repeated = []struct {
	name, answer, body string
	requestSize        int
}{
	{"GET", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024), "",
		len("GET / HTTP/1.1\r\nHost: site.example\r\nAccept: */*\r\n\r\n")},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n", "",
		len("GET / HTTP/1.1\r\nHost: site.example\r\nAccept: */*\r\n\r\n")},
	{"POST", "HTTP/1.1 204 No Content\r\n\r\n", "content",
		len("GET / HTTP/1.1\r\nHost: site.example\r\nAccept: */*\r\nContent-Length: 7\r\n\r\ncontent")},
	{"64 KiB", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536), "",
		len("GET / HTTP/1.1\r\nHost: site.example\r\nAccept: */*\r\n\r\n")},
}

// once makes a trip over c with memory that is used again.
func once(tb testing.TB, trip *http1.Trip, life *exchange.Life, c *socket.Conn, shared *http1.Client, m *memory, buf []byte) {
	*trip = http1.Trip{}
	trip.Client, trip.Conn, trip.Life = shared, c, life
	trip.Until = exchange.Clock() + m.timeout
	trip.Request = message.RequestHead{Method: "GET", Authority: "site.example", Target: "/", Header: &m.request}
	trip.Response = message.ResponseHead{Header: &m.response, Trailer: &m.trailer}
	if len(m.body) > 0 {
		trip.Whole, trip.Request.Framing.Length = m.body, int64(len(m.body))
	}
	if err := trip.Do(); err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := trip.Read(buf); err == io.EOF {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
	}
	if !trip.Reusable() {
		tb.Fatal("the connection is good for another trip")
	}
	trip.Release()
}

// memory is that of an exchange.
type memory struct {
	request, response, trailer exchange.Header
	body                       []byte
	timeout                    time.Duration
}

func newMemory(body string) *memory {
	m := &memory{body: []byte(body), timeout: 30 * time.Second}
	m.request.Add("Accept", "*/*")
	return m
}

func TestTripAllocatesNothing(t *testing.T) {
	probe := []byte{0}
	if exchange.Poison(probe); probe[0] != 0 {
		t.Skip("the race detector lets pools forget")
	}
	for _, r := range repeated {
		c, shared, m, buf := dial(t, answers(r.requestSize, r.answer)), client(), newMemory(r.body), make([]byte, 32<<10)
		trip, life := new(http1.Trip), new(exchange.Life)
		use := func() { once(t, trip, life, c, shared, m, buf) }
		use()
		if n := testing.AllocsPerRun(100, use); n != 0 {
			t.Errorf("%s: got %v allocations, want none", r.name, n)
		}
	}
}

// BenchmarkTrip measures exchanges with a server that does as little as it can.
func BenchmarkTrip(b *testing.B) {
	for _, r := range repeated {
		b.Run(r.name, func(b *testing.B) {
			c, shared, m, buf := dial(b, answers(r.requestSize, r.answer)), client(), newMemory(r.body), make([]byte, 32<<10)
			trip, life := new(http1.Trip), new(exchange.Life)
			b.ReportAllocs()
			for b.Loop() {
				once(b, trip, life, c, shared, m, buf)
			}
		})
	}
}
