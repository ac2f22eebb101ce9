package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// client is how the tests' trips are made.
func client() *http1.Client {
	return &http1.Client{
		Buffers:      &socket.Buffers{Size: 8 << 10},
		Limits:       message.Limits{HeaderBytes: 64 << 10, HeaderCount: 128},
		MaxInforms:   4,
		ContinueWait: 10 * time.Second,
	}
}

// dial connects to a server that handles its one connection with handle.
func dial(t testing.TB, handle func(c net.Conn)) *socket.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		l.Close()
		if err != nil {
			return
		}
		defer c.Close()
		handle(c)
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := socket.New(raw)
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

// says reads a request's head and answers like this.
func says(answer string) func(net.Conn) {
	return func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, answer)
	}
}

// readHead returns a head as it came, "" at the end.
func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// ask makes a trip of a GET.
func ask(c *socket.Conn) *http1.Trip {
	return &http1.Trip{
		Client: client(),
		Conn:   c,
		Life:   new(exchange.Life),
		Until:  exchange.Clock() + 10*time.Second,
		Request: message.RequestHead{
			Method: "GET", Authority: "site.example", Target: "/",
			Header: new(exchange.Header), Trailer: new(exchange.Header),
		},
		Response: message.ResponseHead{Header: new(exchange.Header), Trailer: new(exchange.Header)},
	}
}

// post makes a trip of a POST; a length of exchange.UnknownLength is chunked.
func post(c *socket.Conn, body io.Reader, length int64) *http1.Trip {
	t := ask(c)
	t.Request.Method = "POST"
	t.Request.Framing = message.Framing{Length: length, Chunked: length == exchange.UnknownLength}
	t.Body = body
	return t
}

func fields(h *exchange.Header) string {
	var b strings.Builder
	for _, f := range h.Fields() {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func TestTrip(t *testing.T) {
	const answer = "HTTP/1.1 200 Fine\r\nX-b: 1\r\ncontent-type: text/plain\r\nX-A: 2\r\nx-B: 3\r\nContent-Length: 2\r\n\r\nok"
	heads := make(chan string, 2)
	c := dial(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for range 2 {
			heads <- readHead(r)
			io.WriteString(c, answer)
		}
	})
	for range 2 {
		trip := ask(c)
		trip.Request.Header.Add("x-Odd", "one")
		trip.Request.Header.Add("Accept", "*/*")
		if err := trip.Do(); err != nil {
			t.Fatal(err)
		}
		if got, want := <-heads, "GET / HTTP/1.1\r\nHost: site.example\r\nx-Odd: one\r\nAccept: */*\r\n\r\n"; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
		if trip.Response.Status != 200 || trip.Response.Framing.Length != 2 {
			t.Errorf("got status %d, length %d", trip.Response.Status, trip.Response.Framing.Length)
		}
		if got, want := fields(trip.Response.Header), "X-b: 1\ncontent-type: text/plain\nX-A: 2\nx-B: 3\nContent-Length: 2\n"; got != want {
			t.Errorf("got fields %q, want %q: order and spelling are the server's", got, want)
		}
		if got, err := io.ReadAll(trip); string(got) != "ok" || err != nil {
			t.Errorf("got body %q, %v", got, err)
		}
		if !trip.Reusable() {
			t.Error("the connection is good for another trip")
		}
		trip.Release()
	}
}

// Each response is read as one write, byte by byte, and through readers of all
// sizes: what it means does not depend on that.
func TestTripResponses(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 2048)
	cases := []struct {
		name, method, answer string
		status               int
		body                 string
		err                  error // of the body
		trailer              string
		reusable             bool
	}{
		{name: "counted", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reusable: true},
		{name: "empty", answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", status: 404, reusable: true},
		{name: "long", answer: "HTTP/1.1 200 OK\r\nContent-Length: 32768\r\n\r\n" + long, status: 200, body: long, reusable: true},
		{name: "no reason", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reusable: true},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", status: 200, body: "ok", reusable: true},
		{name: "chunked and long", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" + long + "\r\n0\r\n\r\n", status: 200, body: long, reusable: true},
		{name: "trailers (RFC 9112, 7.1.2)", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\n\r\n",
			status: 200, body: "ok", trailer: "X-Sum: 5\n", reusable: true},
		{name: "204 (RFC 9112, 6.3)", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reusable: true},
		{name: "304 tells a length", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", status: 304, reusable: true},
		{name: "HEAD tells a length", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", status: 200, reusable: true},
		{name: "HEAD of something chunked", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, reusable: true},
		{name: "until the end", answer: "HTTP/1.1 200 OK\r\n\r\nok", status: 200, body: "ok"},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\n\r\nok", status: 200, body: "ok"},
		{name: "HTTP/1.0 with a length", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "HTTP/1.0 that stays", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reusable: true},
		{name: "close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "surplus", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status: 200, body: "ok"},
		{name: "surplus after chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\npoison", status: 200, body: "ok"},
		{name: "surplus after nothing", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status: 200},
		{name: "breaks off", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", status: 200, body: "ok", err: io.ErrUnexpectedEOF},
		{name: "breaks off between chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", status: 200, body: "ok", err: io.ErrUnexpectedEOF},
		{name: "breaks off in a trailer", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\n", status: 200, body: "ok", err: io.ErrUnexpectedEOF},
		{name: "chunk without end", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n", status: 200, body: "ok", err: message.ErrChunkEnd},
	}
	for _, c := range cases {
		for _, delivery := range []string{"whole", "bytes"} {
			for _, size := range []int{1, 3, 64 << 10} {
				t.Run(c.name+", "+delivery, func(t *testing.T) {
					if delivery == "bytes" && len(c.answer) > 1000 {
						t.Skip("too long to be sent by bytes")
					}
					trip := ask(dial(t, func(conn net.Conn) {
						readHead(bufio.NewReader(conn))
						send(conn, c.answer, delivery == "bytes")
						if c.reusable {
							io.Copy(io.Discard, conn)
						}
					}))
					if c.method != "" {
						trip.Request.Method = c.method
					}
					if err := trip.Do(); err != nil {
						t.Fatal(err)
					}
					got, err := readBy(trip, size)
					if trip.Response.Status != c.status || got != c.body || !errors.Is(err, c.err) {
						t.Errorf("got %d %.40q, %v, want %d %.40q, %v", trip.Response.Status, got, err, c.status, c.body, c.err)
					}
					if got := fields(trip.Response.Trailer); got != c.trailer {
						t.Errorf("got trailers %q, want %q", got, c.trailer)
					}
					// Surplus that comes a moment later is found by who looks before the next trip.
					late := delivery == "bytes" && strings.HasPrefix(c.name, "surplus")
					if trip.Reusable() != c.reusable && !late {
						t.Errorf("reusable: got %v, want %v", trip.Reusable(), c.reusable)
					}
					trip.Conn.Close()
					trip.Release()
				})
			}
		}
	}
}

func send(c net.Conn, text string, bytes bool) {
	if !bytes {
		io.WriteString(c, text)
		return
	}
	for i := range len(text) {
		io.WriteString(c, text[i:i+1])
	}
}

// readBy reads to the end with a buffer of that size. The end is no error.
func readBy(r io.Reader, size int) (string, error) {
	var got strings.Builder
	buf := make([]byte, size)
	for {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		if err == io.EOF {
			if n, err := r.Read(buf); n != 0 || err != io.EOF {
				return got.String(), errors.New("the end did not last")
			}
			return got.String(), nil
		}
		if err != nil {
			return got.String(), err
		}
	}
}

// What could be read in two ways is no response.
func TestTripRefuses(t *testing.T) {
	cases := map[string]struct {
		answer string
		want   error
	}{
		"length and coding (RFC 9112, 6.1)":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", message.ErrBothFramed},
		"two lengths (RFC 9112, 6.3)":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", message.ErrLengths},
		"list of lengths":                     {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", message.ErrLength},
		"signed length":                       {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", message.ErrLength},
		"unknown coding":                      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\nok", message.ErrCoding},
		"coding in HTTP/1.0":                  {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", message.ErrOldCoding},
		"204 with a body (RFC 9110, 8.6)":     {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", message.ErrNoContent},
		"folded field (RFC 9112, 5.2)":        {"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n", message.ErrFolded},
		"space before a colon":                {"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n", message.ErrNameSpace},
		"bare CR (RFC 9112, 2.2)":             {"HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\n\r\n", message.ErrBareCR},
		"bare LF":                             {"HTTP/1.1 200 OK\nX-A: b\r\n\r\n", message.ErrBareLF},
		"NUL":                                 {"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n", message.ErrValue},
		"not HTTP":                            {"SSH-2.0-OpenSSH_9.6\r\n\r\n", message.ErrVersion},
		"too many informational responses":    {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 5), http1.ErrTooManyInforms},
		"head without end":                    {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 64<<10), message.ErrTooLarge},
		"closes at once":                      {"", io.EOF},
		"closes in the head":                  {"HTTP/1.1 200 OK\r\n", io.ErrUnexpectedEOF},
		"closes after an informational head":  {"HTTP/1.1 103 Early Hints\r\n\r\n", io.ErrUnexpectedEOF},
		"switches unasked (RFC 9110, 15.2.2)": {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", http1.ErrSwitched},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			trip := ask(dial(t, says(c.answer)))
			if err := trip.Do(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !trip.Over() || trip.Reusable() || trip.Heard() != (c.answer != "") || !trip.Wrote() {
				t.Errorf("over %v, reusable %v, heard %v, wrote %v", trip.Over(), trip.Reusable(), trip.Heard(), trip.Wrote())
			}
			trip.Release()
		})
	}
}

func TestTripThatCannotBeWritten(t *testing.T) {
	cases := map[string]func(*http1.Trip){
		"line break in a value": func(trip *http1.Trip) { trip.Request.Header.Add("a", "b\r\nc: d") },
		"no target":             func(trip *http1.Trip) { trip.Request.Target = "" },
		"a body of another length": func(trip *http1.Trip) {
			trip.Request.Framing.Length, trip.Whole = 4, []byte("five!")
		},
	}
	for name, change := range cases {
		trip := ask(dial(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
		change(trip)
		if err := trip.Do(); err == nil || trip.Wrote() || trip.Reusable() {
			t.Errorf("%s: got %v, wrote %v", name, err, trip.Wrote())
		}
		trip.Release()
	}
}

// hints keeps informational responses.
type hints []string

func (h *hints) Inform(_ int, header *exchange.Header) error {
	*h = append(*h, header.Value("link"))
	return nil
}

func TestTripPassesInformationalResponsesOn(t *testing.T) {
	trip := ask(dial(t, says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"+
		"HTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\nHTTP/1.1 200 OK\r\nX-C: d\r\nContent-Length: 2\r\n\r\nok")))
	var got hints
	trip.Informer = &got
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, hints{"a", "b"}) || fields(trip.Response.Header) != "X-C: d\nContent-Length: 2\n" {
		t.Errorf("got hints %q and fields %q", got, fields(trip.Response.Header))
	}
}

// A head that needs more memory than a buffer has is still of one piece.
func TestTripWithLargeHead(t *testing.T) {
	big := strings.Repeat("b", 20<<10)
	trip := ask(dial(t, says("HTTP/1.1 200 OK\r\nX-First: 1\r\nX-Big: "+big+"\r\nContent-Length: 2\r\n\r\nok")))
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	h := trip.Response.Header
	if body, err := io.ReadAll(trip); h.Value("x-first") != "1" || h.Value("x-big") != big || string(body) != "ok" || err != nil {
		t.Errorf("got %.60q, body %q, %v", fields(h), body, err)
	}
	trip.Release()
}

func TestTripEndsInTime(t *testing.T) {
	trip := ask(dial(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
	trip.Until = exchange.Clock() + 20*time.Millisecond
	if err := trip.Do(); !errors.Is(err, os.ErrDeadlineExceeded) || trip.Conn.Interrupted() {
		t.Errorf("got %v, want the deadline", err)
	}
	trip = ask(dial(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
	trip.Life.Narrow(exchange.Clock() + 20*time.Millisecond)
	if err := trip.Do(); !errors.Is(err, os.ErrDeadlineExceeded) || trip.Life.Err() == nil {
		t.Errorf("got %v, want the deadline of the exchange", err)
	}
}

func TestTripEndsWithItsLife(t *testing.T) {
	asked := make(chan struct{})
	trip := ask(dial(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		close(asked)
		io.Copy(io.Discard, c)
	}))
	left := errors.New("left")
	go func() {
		<-asked
		trip.Life.End(left)
	}()
	if err := trip.Do(); err == nil || !trip.Conn.Interrupted() || !errors.Is(trip.Life.Cause(), left) {
		t.Errorf("got %v, want an interruption", err)
	}
	late := ask(dial(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
	late.Life = trip.Life
	if err := late.Do(); !errors.Is(err, left) || late.Wrote() || late.Conn.Interrupted() {
		t.Errorf("after the end: got %v, wrote %v, want the connection left alone", err, late.Wrote())
	}
}

// The deadline is the head's. What bounds a body is silence.
func TestTripBodyOutlastsTheHead(t *testing.T) {
	release := make(chan struct{})
	trip := ask(dial(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
		<-release
		io.WriteString(c, "late")
	}))
	trip.Until = exchange.Clock() + 50*time.Millisecond
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	if got, err := io.ReadAll(trip); string(got) != "late" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTripBodyThatFallsSilent(t *testing.T) {
	trip := ask(dial(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
		io.Copy(io.Discard, c)
	}))
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	trip.Silence = 20 * time.Millisecond
	if got, err := io.ReadAll(trip); string(got) != "ha" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want an end of patience", got, err)
	}
	trip.Conn.Close()
}
