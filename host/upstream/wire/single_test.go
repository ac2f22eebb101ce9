package wire

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// endpoint starts an endpoint that handles its n-th connection, from 0, as it
// likes, and returns a Client of it.
func endpoint(t testing.TB, handle func(c net.Conn, n int)) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				handle(c, n)
			})
		}
	})
	client, err := New(Settings{Scheme: "http", Host: l.Addr().String(), Protocol: "h1", Limits: manifest.Connections{
		Max: 8, Idle: 8, IdleTimeout: manifest.Duration(time.Minute), ConnectTimeout: manifest.Duration(10 * time.Second),
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		client.Close()
		running.Wait()
	})
	return client
}

func room() *Room {
	return &Room{Count: new(atomic.Int64), Max: 100, Waited: func(time.Duration) {}}
}

// try makes a Try of a request without a body.
func try(method string) *Try {
	x := &exchange.Exchange{Request: exchange.Request{Method: method, Scheme: "http", Authority: "site.example", Target: "/"}}
	return &Try{X: x, Authority: "site.example", Room: room(), Until: exchange.Clock() + 10*time.Second, Late: ErrTimeout}
}

// ask carries a try to the last byte of its answer.
func ask(t *testing.T, c *Client, try *Try) string {
	t.Helper()
	if e := c.Carry(try); e != nil {
		t.Fatalf("Carry: %v", e)
	}
	if try.Response.Body == nil {
		return ""
	}
	body, err := io.ReadAll(try.Response.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(body)
}

// requestHead reads a request's head, "" at the end.
func requestHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// forgets answers one request on each connection, and then closes it although it
// promised to stay. Each connection that it has closed is told.
func forgets(closed chan<- struct{}) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		requestHead(bufio.NewReader(c))
		io.WriteString(c, okAnswer)
		c.Close()
		closed <- struct{}{}
	}
}

// A connection that its endpoint left while it was idle is nobody's failure: the
// request goes on another one, whatever may be tried again.
func TestStaleConnectionCostsNothing(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PATCH"} {
		closed := make(chan struct{}, 1)
		c := endpoint(t, forgets(closed))
		for range 20 {
			ask(t, c, try(method))
			<-closed
		}
	}
}

// A request that was heard of may have been acted on: whether it is sent again is
// not for the wire to say.
func TestEndpointThatDropsRequests(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		requests := new(atomic.Int32)
		c := endpoint(t, func(conn net.Conn, _ int) {
			r := bufio.NewReader(conn)
			requestHead(r)
			io.WriteString(conn, okAnswer)
			if requestHead(r) != "" {
				requests.Add(1)
			}
		})
		ask(t, c, try("GET"))
		e := c.Carry(try(method))
		if e == nil || !e.Sent || !e.Stale || e.Cause != exchange.CauseReset {
			t.Errorf("%s: got %+v, want a stale connection", method, e)
		}
		if got := requests.Load(); got != 1 {
			t.Errorf("%s: the endpoint dropped %d requests, want 1", method, got)
		}
	}
}

// What an idle connection brings is nobody's answer.
func TestUnaskedBytesAreNoAnswer(t *testing.T) {
	for _, unasked := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "HTTP/1.1 408 Request Timeout\r\n\r\n", "\n"} {
		for _, method := range []string{"GET", "POST"} {
			read, sent := make(chan struct{}), make(chan struct{})
			c := endpoint(t, func(conn net.Conn, n int) {
				r := bufio.NewReader(conn)
				requestHead(r)
				io.WriteString(conn, okAnswer)
				if n == 0 {
					<-read
					io.WriteString(conn, unasked)
					close(sent)
				}
				io.Copy(io.Discard, r)
			})
			ask(t, c, try("GET"))
			close(read)
			<-sent
			if got := ask(t, c, try(method)); got != "ok" {
				t.Errorf("%s after %q: got %q", method, unasked, got)
			}
		}
	}
}

// Sweep finds what nobody has used since.
func TestSweepClosesWhatWasLeft(t *testing.T) {
	closed := make(chan struct{}, 1)
	c := endpoint(t, forgets(closed))
	ask(t, c, try("GET"))
	<-closed
	c.conns.sweep(exchange.Clock())
	if open, idle := counts(c.conns); open != 1 || idle != 1 {
		t.Errorf("at once: got %d open, %d idle, want the connection left alone", open, idle)
	}
	until(t, "end of the connection", func() bool {
		c.conns.sweep(exchange.Clock() + lookAfter)
		open, idle := counts(c.conns)
		return open == 0 && idle == 0
	})
}

func counts(p *pool) (open, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, len(p.idle)
}

// A request that cannot be written, or that nobody waits for any more, leaves the
// connection as it was.
func TestConnectionThatWasNotUsedStays(t *testing.T) {
	c := endpoint(t, func(conn net.Conn, _ int) {
		r := bufio.NewReader(conn)
		for requestHead(r) != "" {
			io.WriteString(conn, okAnswer)
		}
	})
	ask(t, c, try("GET"))
	unwritable := try("GET")
	unwritable.X.Request.Header.Add("a", "b\r\nc: d")
	if e := c.Carry(unwritable); e == nil || e.Sent || e.Blame != BlameClient {
		t.Errorf("got %+v", e)
	}
	ended := try("GET")
	ended.X.Life().End(errors.New("left"))
	if e := c.Carry(ended); e == nil || e.Sent {
		t.Errorf("got %+v", e)
	}
	if open, idle := counts(c.conns); open != 1 || idle != 1 {
		t.Errorf("got %d open, %d idle, want one that is idle", open, idle)
	}
}

// The bound on silence is the body's, and not that of one that is meant to be
// silent.
func TestBodyThatFallsSilent(t *testing.T) {
	for kind, bounded := range map[string]bool{"text/plain": true, "text/event-stream; charset=utf-8": false, "application/grpc+proto": false} {
		c := endpoint(t, func(conn net.Conn, _ int) {
			requestHead(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: "+kind+"\r\nContent-Length: 4\r\n\r\nha")
			if !bounded {
				time.AfterFunc(100*time.Millisecond, func() { io.WriteString(conn, "lf") })
			}
			io.Copy(io.Discard, conn)
		})
		try := try("GET")
		try.Silence = 20 * time.Millisecond
		if e := c.Carry(try); e != nil {
			t.Fatal(e)
		}
		got, err := io.ReadAll(try.Response.Body)
		if bounded && (string(got) != "ha" || !errors.Is(err, os.ErrDeadlineExceeded)) || !bounded && (string(got) != "half" || err != nil) {
			t.Errorf("%s: got %q, %v", kind, got, err)
		}
		if open, _ := counts(c.conns); bounded && open != 0 {
			t.Errorf("%s: the connection is still open", kind)
		}
		try.Response.Body.Close()
	}
}

// What an exchange holds of its response is good until its end, however many
// others have used the connection since.
func TestTextLivesAsLongAsItsExchange(t *testing.T) {
	n := new(atomic.Int32)
	c := endpoint(t, func(conn net.Conn, _ int) {
		r := bufio.NewReader(conn)
		for requestHead(r) != "" {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Number: "+strings.Repeat(string('a'+rune(n.Add(1))), 10)+"\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	first := try("GET")
	ask(t, c, first)
	want := strings.Clone(first.Response.Header.Value("x-number"))
	for range 10 {
		other := try("GET")
		ask(t, c, other)
		other.X.Reset()
	}
	if got := first.Response.Header.Value("x-number"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if b, err := first.Response.Body.Read(make([]byte, 1)); b != 0 || err != io.EOF {
		t.Errorf("after the end: got %d bytes, %v", b, err)
	}
	first.Response.Body.Close()
}

// answers reads requests of size bytes and answers each with text, as cheaply as
// can be.
func answers(size int, text string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		buf, answer := make([]byte, size), []byte(text)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			c.Write(answer)
		}
	}
}

const (
	bareRequest = "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
	kibAnswer   = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"
)

// again carries one exchange after another with the same memory, and returns it.
func again(tb testing.TB, c *Client, t *Try, r *Room, buf []byte) *Try {
	x := t.X
	x.Reset()
	t = t.Reset()
	x.Request.Method, x.Request.Target = "GET", "/"
	t.X, t.Authority, t.Room, t.Until, t.Late = x, "site.example", r, exchange.Clock()+30*time.Second, ErrTimeout
	if e := c.Carry(t); e != nil {
		tb.Fatal(e)
	}
	for {
		if _, err := t.Response.Body.Read(buf); err == io.EOF {
			return t
		} else if err != nil {
			tb.Fatal(err)
		}
	}
}

func TestCarryAllocatesNothing(t *testing.T) {
	probe := []byte{0}
	if exchange.Poison(probe); probe[0] != 0 {
		t.Skip("the race detector lets pools forget")
	}
	c := endpoint(t, answers(len(bareRequest), kibAnswer+strings.Repeat("x", 1024)))
	try, room, buf := try("GET"), room(), make([]byte, 32<<10)
	use := func() { try = again(t, c, try, room, buf) }
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// BenchmarkCarry measures a GET with a 1 KiB answer from an endpoint that does as
// little as it can, over loopback.
func BenchmarkCarry(b *testing.B) {
	c := endpoint(b, answers(len(bareRequest), kibAnswer+strings.Repeat("x", 1024)))
	try, room, buf := try("GET"), room(), make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		try = again(b, c, try, room, buf)
	}
}
