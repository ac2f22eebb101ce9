package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
)

// echoes answers each request with its body and its trailers, as net/http reads
// them.
func echoes(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		answer := http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(body)),
			TransferEncoding: []string{"chunked"}, Trailer: req.Trailer, ContentLength: -1}
		answer.Write(c)
	}
}

// ready is a body that is in memory, or says so.
type ready struct {
	io.Reader
	is bool
}

func (r ready) Ready() bool { return r.is }

func TestTripSendsBodies(t *testing.T) {
	small, large := "small", strings.Repeat("0123456789abcdef", 16<<10)
	for name, text := range map[string]string{"small": small, "large": large} {
		for _, framing := range []string{"counted", "chunked"} {
			length := int64(len(text))
			if framing == "chunked" {
				length = exchange.UnknownLength
			}
			for kind, body := range map[string]io.Reader{
				"in memory":  nil,
				"waited for": iotest{strings.NewReader(text)},
				"ready":      ready{strings.NewReader(text), true},
				"not ready":  ready{strings.NewReader(text), false},
			} {
				t.Run(name+", "+framing+", "+kind, func(t *testing.T) {
					trip := post(dial(t, echoes), body, length)
					if body == nil {
						trip.Whole = []byte(text)
					}
					if framing == "chunked" {
						trip.Request.Trailer.Add("X-Sum", "")
						trip.Trailers = new(exchange.Header)
						trip.Trailers.Add("X-Sum", "77")
						trip.Trailers.Add("Content-Length", "5") // is none
					}
					if err := trip.Do(); err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(trip)
					if string(got) != text || err != nil {
						t.Errorf("got %d bytes, %v, want %d", len(got), err, len(text))
					}
					if framing == "chunked" && fields(trip.Response.Trailer) != "X-Sum: 77\n" {
						t.Errorf("got trailers %q", fields(trip.Response.Trailer))
					}
					if !trip.Reusable() {
						t.Error("the connection is good for another trip")
					}
					trip.Conn.Close()
					trip.Release()
				})
			}
		}
	}
}

// iotest yields a byte first, and the end apart from the last bytes.
type iotest struct{ *strings.Reader }

func (r iotest) Read(p []byte) (int, error) {
	if r.Len() == int(r.Size()) {
		p = p[:1]
	}
	return r.Reader.Read(p)
}

// A small body that is there goes with the head, in one write.
func TestTripSendsHeadAndBodyAtOnce(t *testing.T) {
	for name, body := range map[string]io.Reader{"in memory": nil, "ready": ready{strings.NewReader("content"), true}} {
		got := make(chan string, 1)
		trip := post(dial(t, func(c net.Conn) {
			buf := make([]byte, 1000)
			n, _ := c.Read(buf)
			got <- string(buf[:n])
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}), body, 7)
		if body == nil {
			trip.Whole = []byte("content")
		}
		if err := trip.Do(); err != nil {
			t.Fatal(err)
		}
		if got, want := <-got, "POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 7\r\n\r\ncontent"; got != want {
			t.Errorf("%s: got %q in the first read, want %q", name, got, want)
		}
	}
}

// The response is noticed while the body is still on its way.
func TestTripEarlyAnswer(t *testing.T) {
	trip, reader, writer := pending(t, says("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"), 1000)
	defer writer.Close()
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(trip)
	if trip.Response.Status != 413 || string(got) != "big" || err != nil || trip.Reusable() {
		t.Errorf("got %d %q, %v, reusable %v", trip.Response.Status, got, err, trip.Reusable())
	}
	reader.Close()
}

// pending makes a trip of a body that begins, and goes on as writer does.
func pending(t *testing.T, handle func(net.Conn), length int64) (trip *http1.Trip, reader *io.PipeReader, writer *io.PipeWriter) {
	t.Helper()
	reader, writer = io.Pipe()
	go writer.Write([]byte("a first part"))
	return post(dial(t, handle), reader, length), reader, writer
}

// A server that answers and breaks the connection over a body that it does not
// want is heard all the same.
func TestTripAnswerToABodyThatIsRefused(t *testing.T) {
	trip := post(dial(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		io.CopyN(io.Discard, c, 1<<20)
	}), io.LimitReader(endless{}, 1<<30), 1<<30)
	if err := trip.Do(); err != nil || trip.Response.Status != 413 || trip.Reusable() {
		t.Errorf("got %d, %v, reusable %v", trip.Response.Status, err, trip.Reusable())
	}
	trip.Conn.Close()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Both directions of a stream are open at once, and neither waits for the other.
func TestTripFullDuplex(t *testing.T) {
	handle := func(c net.Conn) {
		r := bufio.NewReader(c)
		readHead(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		io.Copy(c, r)
	}
	reader, writer := io.Pipe()
	trip := post(dial(t, handle), reader, 1<<20)
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	for _, word := range []string{"ping", "pong"} {
		io.WriteString(writer, word)
		if _, err := io.ReadFull(trip, buf); string(buf) != word || err != nil {
			t.Fatalf("got %q, %v, want %q", buf, err, word)
		}
	}
	trip.Close()
	trip.Conn.Close()
	writer.Close()
}

// A body that breaks, or is of another length than was told, breaks the request:
// the server must not take what it got for all.
func TestTripBrokenBody(t *testing.T) {
	broken := errors.New("broken")
	cases := map[string]struct {
		body   io.Reader
		length int64
		want   error
	}{
		"breaks, counted":      {io.MultiReader(strings.NewReader("part"), failing{broken}), 100, broken},
		"breaks, chunked":      {io.MultiReader(strings.NewReader("part"), failing{broken}), exchange.UnknownLength, broken},
		"too short":            {strings.NewReader("four"), 5, http1.ErrBodyLength},
		"too long":             {strings.NewReader("four"), 3, http1.ErrBodyLength},
		"breaks while ready":   {ready{failing{broken}, true}, 5, broken},
		"shorter, while ready": {ready{strings.NewReader("four"), true}, 5, http1.ErrBodyLength},
		"longer, while ready":  {ready{strings.NewReader("four"), true}, 3, http1.ErrBodyLength},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			trip := post(dial(t, func(conn net.Conn) {
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					_, err = io.ReadAll(req.Body)
				}
				if c.length != 3 { // what is too long shows only after the end
					got <- err
				}
				io.Copy(io.Discard, conn)
			}), c.body, c.length)
			if err := trip.Do(); err != c.want || trip.Reusable() {
				t.Errorf("got %v, reusable %v, want %v", err, trip.Reusable(), c.want)
			}
			trip.Conn.Close()
			if c.length != 3 {
				if err := <-got; err == nil {
					t.Error("the server took it for whole")
				}
			}
			trip.Release()
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTripExpectsContinue(t *testing.T) {
	cases := map[string]struct {
		before string // that is said before the body was sent
		status int
		sent   bool
	}{
		"asked":   {"HTTP/1.1 100 Continue\r\n\r\n", 200, true},
		"hinted":  {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", 200, true},
		"refused": {"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 417, false},
		"silent":  {"", 200, true},
	}
	for name, c := range cases {
		for kind, body := range map[string]io.Reader{"in memory": nil, "waited for": iotest{strings.NewReader("content")}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				sent := make(chan string, 1)
				trip := post(dial(t, func(conn net.Conn) {
					r := bufio.NewReader(conn)
					readHead(r)
					io.WriteString(conn, c.before)
					body := make([]byte, 7)
					n, _ := io.ReadFull(r, body)
					sent <- string(body[:n])
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}), body, 7)
				if name == "silent" {
					trip.Client.ContinueWait = 20 * time.Millisecond
				}
				trip.Request.Header.Add("Expect", "100-continue")
				if body == nil {
					trip.Whole = []byte("content")
				}
				if err := trip.Do(); err != nil {
					t.Fatal(err)
				}
				if trip.Response.Status != c.status || trip.Reusable() != c.sent {
					t.Errorf("got %d, reusable %v, want %d", trip.Response.Status, trip.Reusable(), c.status)
				}
				trip.Conn.Close()
				if got := <-sent; (got == "content") != c.sent {
					t.Errorf("sent %q", got)
				}
			})
		}
	}
}

// The client keeps us waiting for its body: that is no silence of the server.
func TestTripSilenceOfTheClient(t *testing.T) {
	handle := func(c net.Conn) {
		r := bufio.NewReader(c)
		readHead(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
		io.CopyN(c, r, 4)
	}
	reader, writer := io.Pipe()
	trip := post(dial(t, handle), reader, 4)
	trip.Silence = 500 * time.Millisecond // within which the server has to answer, on a busy machine too
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*trip.Silence, func() { io.WriteString(writer, "late") })
	if got, err := io.ReadAll(trip); string(got) != "late" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	writer.Close()
}

// silent is a body that is read once, and waited for.
type silent struct{ begun, end chan struct{} }

func (s silent) Read([]byte) (int, error) {
	close(s.begun)
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

// Nobody blames a server that has nothing to say before the request goes on, also
// where the kernel was to move what it says.
func TestTripLendsWhileTheClientIsSilent(t *testing.T) {
	const size = 100 << 10
	goOn := make(chan struct{})
	body := silent{make(chan struct{}), make(chan struct{})}
	defer close(body.end)
	trip := post(dial(t, func(conn net.Conn) {
		readHead(bufio.NewReader(conn))
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		<-goOn
		conn.Write(make([]byte, size))
	}), body, exchange.UnknownLength)
	defer trip.Release()
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	<-body.begun
	trip.Silence = time.Millisecond
	c, waiting, n, ok := trip.SpliceSource()
	if !ok || len(waiting) > 0 || n != size {
		t.Fatalf("got %d bytes in memory and %d more lent, %v", len(waiting), n, ok)
	}
	_, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want silence", err)
	}
	trip.Spliced(0, err)
	close(goOn)
	trip.Silence = 0
	if got, err := io.Copy(io.Discard, trip); got != size || err != nil {
		t.Errorf("got %d bytes, %v", got, err)
	}
}
