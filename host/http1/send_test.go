package http1_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// lent is a body that comes by a connection, of which the first bytes were read
// before.
type lent struct {
	from   *socket.Conn
	memory []byte
	left   int64 // on from
	err    error
	asked  bool
}

func (l *lent) SpliceSource() (*socket.Conn, []byte, int64, bool) {
	l.asked = true
	return l.from, l.memory, l.left, l.err == nil
}

func (l *lent) Spliced(n int64, err error) {
	memory := min(n, int64(len(l.memory)))
	l.memory = l.memory[memory:]
	l.left -= n - memory
	l.err = err
}

func (l *lent) Read(p []byte) (int, error) {
	switch {
	case l.err != nil:
		return 0, l.err
	case len(l.memory) > 0:
		n := copy(p, l.memory)
		l.memory = l.memory[n:]
		return n, nil
	case l.left == 0:
		return 0, io.EOF
	}
	n, err := l.from.Read(p[:min(l.left, int64(len(p)))])
	l.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (l *lent) Close() error { return nil }

// source returns a connection that brings what write writes.
func source(t *testing.T, write func(c net.Conn)) *socket.Conn {
	t.Helper()
	addr := hosttest.Raw(t, write)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := socket.New(c)
	t.Cleanup(func() { s.Close() })
	return s
}

// pattern is a text in which each place is told from its neighbours.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

func TestBodiesAreLent(t *testing.T) {
	whole := pattern(1<<20 + 200<<10)
	for _, memory := range []int{0, 1, 1000, 5000, 20000, 200 << 10} {
		for _, more := range []int{0, 1, 10000, 64 << 10, 1 << 20} {
			for _, length := range []string{"known", "unknown", "with trailers"} {
				t.Run(fmt.Sprintf("%d and %d/%s", memory, more, length), func(t *testing.T) {
					t.Parallel()
					text := whole[:memory+more]
					d := serve(t, settings(), func(x *exchange.Exchange) {
						body := &lent{memory: []byte(text[:memory]), left: int64(more)}
						if more > 0 {
							body.from = source(t, func(c net.Conn) { io.WriteString(c, text[memory:]) })
						}
						resp := &x.Response
						resp.Status, resp.Body, resp.Length = 200, body, int64(len(text))
						switch length {
						case "unknown":
							resp.Length = exchange.UnknownLength
						case "with trailers":
							resp.Trailer.Add("X-Sum", "1")
						}
						if err := x.Sink.Send(x); err != nil || x.ResponseBytes != int64(len(text)) || !body.asked {
							t.Errorf("send: %v, %d bytes, want %d", err, x.ResponseBytes, len(text))
						}
					})
					p := d.dial(t)
					for range 2 {
						p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
						resp, got := p.response("GET")
						if got != text || (resp.ContentLength >= 0) != (length == "known") {
							t.Errorf("got %d bytes, want %d; length %d", len(got), len(text), resp.ContentLength)
						}
					}
				})
			}
		}
	}
}

func TestLentBodyThatBreaks(t *testing.T) {
	for _, length := range []int64{1 << 20, exchange.UnknownLength} {
		sent := make(chan error, 1)
		d := serve(t, settings(), func(x *exchange.Exchange) {
			from := source(t, func(c net.Conn) { io.WriteString(c, pattern(100<<10)) })
			x.Response.Status, x.Response.Length = 200, length
			x.Response.Body = &lent{memory: []byte("begun"), from: from, left: 1<<20 - 5}
			sent <- x.Sink.Send(x)
		})
		p := d.dial(t)
		p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		p.head()
		if got, err := io.ReadAll(p.r); err == nil && length >= 0 && len(got) == 1<<20 || strings.HasSuffix(string(got), "0\r\n\r\n") {
			t.Error("the client took it for complete")
		}
		var failed *exchange.SendError
		if err := <-sent; !errors.As(err, &failed) || !failed.Upstream {
			t.Errorf("got %v, want the upstream blamed", err)
		}
	}
}

// TestSpliceAndTheClient has a client that reads nothing, and an upstream that is
// silent for longer than clients may be.
func TestSpliceAndTheClient(t *testing.T) {
	brief := settings()
	brief.BodyTimeout = 300 * time.Millisecond
	const size = 64 << 20
	sent := make(chan error, 1)
	d := serve(t, brief, func(x *exchange.Exchange) {
		silent := x.Request.Target == "/silent"
		x.Response.Status, x.Response.Length = 200, size
		if silent {
			x.Response.Length = 1 << 20
		}
		x.Response.Body = &lent{left: x.Response.Length, from: source(t, func(c net.Conn) {
			text := pattern(1 << 20)
			if silent {
				io.WriteString(c, text[:300<<10])
				<-time.After(4 * brief.BodyTimeout)
				io.WriteString(c, text[300<<10:])
				return
			}
			for range size >> 20 {
				io.WriteString(c, text)
			}
		})}
		sent <- x.Sink.Send(x)
	})
	silent := d.dial(t)
	silent.send("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, got := silent.response("GET"); got != pattern(1<<20) {
		t.Errorf("got %d bytes", len(got))
	}
	if err := <-sent; err != nil {
		t.Errorf("silent upstream: %v", err)
	}
	deaf := d.dial(t)
	deaf.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	var failed *exchange.SendError
	if err := <-sent; !errors.As(err, &failed) || failed.Upstream {
		t.Errorf("deaf client: got %v, want it blamed", err)
	}
}

// inParts is a body that is in memory, in parts.
type inParts struct{ parts []string }

func (r *inParts) Ready() bool { return true }

func (r *inParts) Read(p []byte) (n int, err error) {
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n = copy(p, r.parts[0])
	if r.parts[0] = r.parts[0][n:]; r.parts[0] == "" {
		r.parts = r.parts[1:]
	}
	return n, nil
}

func (r *inParts) Close() error { return nil }

// counted is a connection that tells what each write was.
type counted struct {
	looped
	writes []string
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes = append(c.writes, string(p))
	return len(p), nil
}

// TestWhatIsThereIsOneWrite shows that a response that is there as a whole is
// written at once, however it is framed, and each part of a stream by itself.
func TestWhatIsThereIsOneWrite(t *testing.T) {
	unknown := exchange.UnknownLength
	for _, test := range []struct {
		name   string
		body   io.ReadCloser
		length int64
		want   []string // without Date
	}{
		{"known length", io.NopCloser(strings.NewReader("hello")), 5, []string{"Content-Length: 5\r\n\r\nhello"}},
		{"lent", &lent{memory: []byte("hello")}, 5, []string{"Content-Length: 5\r\n\r\nhello"}},
		{"ready", &inParts{[]string{"hel", "lo"}}, unknown, []string{"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"}},
		{"stream", io.NopCloser(strings.NewReader("hello")), unknown, []string{"Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := settings()
			s.Handler = carrier(func(x *exchange.Exchange) {
				x.Response.Header.Add("Date", "d")
				x.Response.Status, x.Response.Length, x.Response.Body = 200, test.length, test.body
				x.Sink.Send(x)
			})
			d := &served{Server: s}
			d.open.Add(1)
			c := &counted{looped: looped{request: []byte(benchRequest), left: 1}}
			s.Serve(c, &exchange.Conn{}, &owner{t, d})
			test.want[0] = "HTTP/1.1 200 OK\r\nDate: d\r\n" + test.want[0]
			if !slices.Equal(c.writes, test.want) {
				t.Errorf("got %q, want %q", c.writes, test.want)
			}
		})
	}
}

// A response that begins before the request has ended, both without end.
func TestFullDuplex(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length, x.Response.Body = 200, exchange.UnknownLength, x.Request.Body
		x.Sink.Send(x)
	})
	p := d.dial(t)
	p.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	p.head()
	for i := range 100 {
		part := fmt.Sprintf("part %03d", i)
		p.send("8\r\n" + part + "\r\n")
		p.expect("8\r\n" + part + "\r\n")
	}
	p.send("0\r\n\r\n")
	p.expect("0\r\n\r\n")
	p.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")
	if _, body := p.response("POST"); body != "ab" {
		t.Errorf("the next one: got %q", body)
	}
}

// TestFramingWithTrailers is about a response of known length that has trailers.
func TestFramingWithTrailers(t *testing.T) {
	for _, test := range []struct {
		rule, line string
		status     int
		want       []string
	}{
		{"RFC 9112, 7.1.2: trailers need chunks", "GET / HTTP/1.1", 200, []string{"Transfer-Encoding: chunked", "Trailer: X-Sum"}},
		{"RFC 9110, 9.3.2: the fields of HEAD are those of GET", "HEAD / HTTP/1.1", 200, nil},
		{"RFC 9112, 6.1: no chunks for HTTP/1.0", "GET / HTTP/1.0", 200, []string{"Content-Length: 4", "Connection: close"}},
		{"RFC 9110, 8.6: a length in 304 is that of 200", "GET / HTTP/1.1", 304, []string{"Content-Length: 4"}},
		{"RFC 9110, 8.6: no length in 204", "GET / HTTP/1.1", 204, nil},
	} {
		d := serve(t, settings(), func(x *exchange.Exchange) {
			x.Response.Header.Add("Date", "d")
			x.Response.Trailer.Add("X-Sum", "1")
			answer(x, test.status, "body")
		})
		p := d.dial(t)
		p.send(test.line + "\r\nHost: h\r\n\r\n")
		if got := p.head()[2:]; !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.rule, got, test.want)
		}
	}
}

func TestDateAndAltSvc(t *testing.T) {
	s := settings()
	s.AltSvc = `h3=":443"`
	d := serve(t, s, func(x *exchange.Exchange) { answer(x, 200, "") })
	p := d.dial(t)
	p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, _ := p.response("GET")
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", resp.Header.Get("Date"))
	if err != nil || time.Since(at).Abs() > time.Minute || resp.Header.Get("Alt-Svc") != s.AltSvc {
		t.Errorf("got %v, %v", resp.Header, err)
	}
}

var _ http1.Spliceable = (*lent)(nil)

// Whether a response has content goes by what the client asked. A policy that makes
// GET of HEAD would have its bytes taken for the next response, and one that makes
// HEAD of GET leave the client waiting.
func TestContentGoesByTheClientsMethod(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		x.Request.Method = x.Request.Target[1:]
		answer(x, 200, "body")
	})
	p := d.dial(t)
	for _, test := range []struct{ asked, made, want string }{{"HEAD", "GET", ""}, {"GET", "HEAD", "body"}, {"HEAD", "GET", ""}} {
		p.send(test.asked + " /" + test.made + " HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, body := p.response(test.asked)
		if resp.StatusCode != 200 || resp.ContentLength != 4 || body != test.want {
			t.Errorf("%s made %s: got %d with %q of %d", test.asked, test.made, resp.StatusCode, body, resp.ContentLength)
		}
	}
}
