package http1_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// fixed is a body that is always there.
type fixed struct{ strings.Reader }

func (*fixed) Close() error { return nil }

const benchRequest = "GET /path?query HTTP/1.1\r\nHost: site.test\r\nUser-Agent: bench\r\nAccept: */*\r\n" +
	"Accept-Encoding: gzip\r\nCookie: a=b\r\nX-Api-Key: secret\r\n\r\n"

// replier answers with 1 KiB, of one body again and again: it is for one
// connection.
func replier() func(x *exchange.Exchange) {
	text := strings.Repeat("x", 1024)
	body := new(fixed)
	scratch := make([]byte, 64<<10)
	return func(x *exchange.Exchange) {
		if x.Request.Body != nil {
			for err := error(nil); err == nil; {
				_, err = x.Request.Body.Read(scratch)
			}
		}
		body.Reset(text)
		x.Response.Header.Add("Content-Type", "text/plain")
		x.Response.Status, x.Response.Length, x.Response.Body = 200, int64(len(text)), body
		x.Sink.Send(x)
	}
}

func TestAnExchangeAllocatesNothing(t *testing.T) {
	for _, test := range []struct{ name, request string }{
		{"GET", benchRequest},
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat("x", 10000)},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 40) + "0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, exchange := again(t, test.request)
			defer c.Close()
			exchange()
			n := testing.AllocsPerRun(500, exchange)
			if n >= 1 && !race.Enabled {
				t.Errorf("got %v allocations for each exchange, want none", n)
			}
		})
	}
}

// again returns a connection and what makes an exchange on it.
func again(t testing.TB, request string) (net.Conn, func()) {
	d := serve(t, settings(), replier())
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	message, buffer, length := []byte(request), make([]byte, 4096), 0
	return c, func() {
		if _, err := c.Write(message); err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadAtLeast(c, buffer, max(length, 1))
		if err != nil {
			t.Fatal(err)
		}
		length = n
	}
}

func BenchmarkServer(b *testing.B) {
	c, exchange := again(b, benchRequest)
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

// looped is a connection on which the same request comes again and again, and
// where nothing goes.
type looped struct {
	net.Conn
	request []byte
	left    int // requests
	rest    []byte
}

func (l *looped) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.left--; l.left < 0 {
			return 0, io.EOF
		}
		l.rest = l.request
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *looped) Write(p []byte) (int, error)      { return len(p), nil }
func (l *looped) Close() error                     { return nil }
func (l *looped) SetReadDeadline(time.Time) error  { return nil }
func (l *looped) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkWithoutSystem is what an exchange costs besides system calls.
func BenchmarkWithoutSystem(b *testing.B) {
	s := settings()
	s.Handler = carrier(replier())
	d := &served{Server: s}
	d.open.Add(1)
	b.ReportAllocs()
	b.ResetTimer()
	s.Serve(&looped{request: []byte(benchRequest), left: b.N}, &exchange.Conn{}, &owner{b, d})
}
