package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// raw is an endpoint that handles its n-th connection, from 0, as it likes. It
// returns its URL.
func raw(t testing.TB, handle func(c net.Conn, n int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveRaw(t, l, handle)
	return "http://" + l.Addr().String()
}

func serveRaw(t testing.TB, l net.Listener, handle func(c net.Conn, n int)) (stop func()) {
	var group sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	group.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			group.Go(func() {
				defer c.Close()
				handle(c, n)
			})
		}
	})
	stop = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// head reads a request's head.
func head(c net.Conn) string {
	var b strings.Builder
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// once answers every connection's first request like this, then closes it.
func once(answer string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		head(c)
		io.WriteString(c, answer)
	}
}

func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestFaultsAreClassified(t *testing.T) {
	log.SetOutput(io.Discard) // net/http speaks of some of them there
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	refused := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return "http://" + l.Addr().String()
	}
	cases := map[string]struct {
		endpoint func(t *testing.T) string
		cause    exchange.Cause
		status   int
	}{
		"nobody listens": {refused, exchange.CauseRefused, 502},
		"resets inside the request": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) { c.Read(make([]byte, 1)); reset(c) })
		}, exchange.CauseReset, 502},
		"resets after the request": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) { head(c); reset(c) })
		}, exchange.CauseReset, 502},
		"closes after the request": {func(t *testing.T) string { return raw(t, once("")) }, exchange.CauseReset, 502},
		"closes inside the head":   {func(t *testing.T) string { return raw(t, once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")) }, exchange.CauseReset, 502},
		"accepts, never answers": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
		}, exchange.CauseTimeout, 504},
		"answers half a head, then nothing": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) { head(c); io.WriteString(c, "HTTP/1.1 200"); io.Copy(io.Discard, c) })
		}, exchange.CauseTimeout, 504},
		"speaks garbage":      {func(t *testing.T) string { return raw(t, once("SSH-2.0-OpenSSH_9.6\r\n\r\n")) }, exchange.CauseProtocol, 502},
		"speaks binary":       {func(t *testing.T) string { return raw(t, once("\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n")) }, exchange.CauseProtocol, 502},
		"status that is none": {func(t *testing.T) string { return raw(t, once("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n")) }, exchange.CauseProtocol, 502},
		"two lengths": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"))
		}, exchange.CauseProtocol, 502},
		"length that is none": {func(t *testing.T) string { return raw(t, once("HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nab")) }, exchange.CauseProtocol, 502},
		"unknown coding":      {func(t *testing.T) string { return raw(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\nab")) }, exchange.CauseProtocol, 502},
		"space before colon":  {func(t *testing.T) string { return raw(t, once("HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n")) }, exchange.CauseProtocol, 502},
		"splits by a bare CR": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n"))
		}, exchange.CauseProtocol, 502},
		"splits by a NUL": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 0\r\n\r\n"))
		}, exchange.CauseProtocol, 502},
		"field name of spaces": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n"))
		}, exchange.CauseProtocol, 502},
		"oversized head": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 200 OK\r\nX-Big: "+strings.Repeat("a", 1<<20)+"\r\n\r\n"))
		}, exchange.CauseProtocol, 502},
		"endless head": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) {
				head(c)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				line := "X-A: " + strings.Repeat("a", 8000) + "\r\n"
				for {
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			})
		}, exchange.CauseProtocol, 502},
		"storm of 1xx": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) {
				head(c)
				for {
					if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
						return
					}
				}
			})
		}, exchange.CauseProtocol, 502},
		"switches unasked": {func(t *testing.T) string {
			return raw(t, once("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
		}, exchange.CauseProtocol, 502},
		"speaks TLS to plain HTTP": {func(t *testing.T) string {
			return raw(t, func(c net.Conn, _ int) { c.Write([]byte{21, 3, 1, 0, 2, 2, 70}) })
		}, exchange.CauseProtocol, 502},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := settings(c.endpoint(t))
			up.Timeout = manifest.Duration(500 * time.Millisecond)
			up.Retry.Attempts = 1
			set := build(t, registry(t), up)
			x := ask("GET", "/", "")
			f := set.Forward(x, "up")
			if f == nil {
				t.Fatalf("got status %d, want a failure", x.Response.Status)
			}
			if f.Cause != c.cause || f.Status != c.status {
				t.Errorf("got %s %d (%v), want %s %d", f.Cause, f.Status, f.Err, c.cause, c.status)
			}
			var e *wire.Error
			if !errors.As(f, &e) || e.Upstream != "up" || e.Endpoint == "" {
				t.Errorf("got %#v, want an Error with upstream and endpoint", f.Err)
			}
			if x.Response.Status != 0 {
				t.Errorf("the response was touched: status %d", x.Response.Status)
			}
		})
	}
}

// A network that drops packets: the listen queue of a socket that nobody accepts
// from is full, so connecting gets no answer at all.
func TestFaultDeadTCP(t *testing.T) {
	url := deadTCP(t)
	up := settings(url)
	up.Connections.ConnectTimeout = manifest.Duration(100 * time.Millisecond)
	up.Retry.Attempts = 0
	set := build(t, registry(t), up)
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseRefused || f.Status != 502 {
		t.Fatalf("got %v, want an endpoint that cannot be reached", f)
	}
	var e *wire.Error
	if errors.As(f, &e); e.Sent {
		t.Error("nothing can have been sent")
	}
}

func TestFaultVanishesInsideBody(t *testing.T) {
	for name, answer := range map[string]string{
		"counted": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			asked := new(atomic.Int32)
			url := raw(t, func(c net.Conn, _ int) {
				asked.Add(1)
				once(answer)(c, 0)
			})
			set := build(t, registry(t), settings(url))
			x := ask("GET", "/", "")
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			got, err := io.ReadAll(x.Response.Body)
			if string(got) != "half" || err == nil {
				t.Errorf("got %q, %v, want half and an error", got, err)
			}
			x.Response.Body.Close()
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times: there must be no retry after the head", n)
			}
			if s := set.registry.Status()[0]; s.InFlight != 0 || s.Failed != 1 {
				t.Errorf("got %+v, want nothing in flight and one failure", s)
			}
		})
	}
}

// The endpoint closes a connection while it is idle in the pool.
func TestFaultVanishesBetweenRequests(t *testing.T) {
	closed := make(chan struct{}, 100)
	url := raw(t, func(c net.Conn, _ int) {
		head(c)
		io.WriteString(c, okAnswer) // promises to stay, and goes
		c.Close()
		closed <- struct{}{}
	})
	up := settings(url)
	up.Retry.Attempts, up.Retry.MinRetries = 3, 100
	set := build(t, registry(t), up)
	for i := range 50 {
		x := ask("GET", "/", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatalf("request %d: %v", i, f)
		}
		if got := read(t, x); got != "ok" {
			t.Fatalf("request %d: got %q", i, got)
		}
		<-closed
	}
	if s := set.registry.Status()[0]; s.Ejected != (time.Time{}) {
		t.Error("the endpoint was ejected for closing idle connections")
	}
}

// A connection on which the answer never came to its end must not carry another.
func TestConnectionWithUnreadBodyIsNotReused(t *testing.T) {
	s, conns := counted(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("secret of the first client ", 10000))
	})
	set := build(t, registry(t), settings(s.URL))
	for range 3 {
		x := ask("GET", "/", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		x.Response.Body.Read(make([]byte, 10))
		x.Response.Body.Close()
	}
	if got := conns.Load(); got != 3 {
		t.Errorf("got %d connections, want one for each unread answer", got)
	}
	if _, body := get(t, set, "/"); !strings.HasPrefix(body, "secret of the first") {
		t.Errorf("got %q", body[:20])
	}
	if _, _ = get(t, set, "/"); conns.Load() != 4 {
		t.Errorf("got %d connections, want the fourth reused", conns.Load())
	}
}

func TestFaultExtraBytesAfterResponse(t *testing.T) {
	log.SetOutput(io.Discard) // net/http speaks of it there
	defer log.SetOutput(os.Stderr)
	url := raw(t, func(c net.Conn, _ int) {
		head(c)
		io.WriteString(c, okAnswer+"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		head(c)
	})
	set := build(t, registry(t), settings(url))
	for range 20 {
		if _, body := get(t, set, "/"); body != "ok" {
			t.Fatalf("got %q: an answer that nobody asked for was passed on", body)
		}
	}
}

func TestFaultRestart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	serve := func(c net.Conn, _ int) {
		for {
			if head(c) == "" {
				return
			}
			if _, err := io.WriteString(c, okAnswer); err != nil {
				return
			}
		}
	}
	stop := serveRaw(t, l, serve)
	up := settings("http://" + address)
	up.Outlier.Failures = 0
	set := build(t, registry(t), up)
	get(t, set, "/")
	stop()
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseRefused && f.Cause != exchange.CauseReset {
		t.Fatalf("while it is down: got %v", f)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	serveRaw(t, l, serve)
	if status, body := get(t, set, "/"); status != 200 || body != "ok" {
		t.Errorf("after the restart: got %d %q", status, body)
	}
}

// One of two endpoints restarts under load: no client may notice. One that
// speaks HTTP/2 and shuts down gracefully says which requests it did not begin,
// so then not even a POST is lost.
func TestFaultRestartUnderLoad(t *testing.T) {
	t.Run("http1, killed", func(t *testing.T) { restartUnderLoad(t, false, "GET", (*http.Server).Close) })
	t.Run("http2, killed", func(t *testing.T) { restartUnderLoad(t, true, "GET", (*http.Server).Close) })
	t.Run("http2, graceful", func(t *testing.T) {
		restartUnderLoad(t, true, "POST", func(s *http.Server) error { return s.Shutdown(context.Background()) })
	})
}

func restartUnderLoad(t *testing.T, multi bool, method string, end func(*http.Server) error) {
	hello := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	start := func(l net.Listener) *http.Server {
		s := &http.Server{Handler: http.HandlerFunc(hello), Protocols: new(http.Protocols)}
		s.Protocols.SetHTTP1(!multi)
		s.Protocols.SetUnencryptedHTTP2(multi)
		go s.Serve(l)
		return s
	}
	server := start(l)
	up := settings(plain(t, multi, hello).URL, "http://"+address)
	up.Outlier.Ejection = manifest.Duration(20 * time.Millisecond)
	up.Retry.MinRetries = 1000
	if multi {
		up.Protocol = "h2"
	}
	set := build(t, registry(t), up)

	stop := new(atomic.Bool)
	var group sync.WaitGroup
	done := new(atomic.Int64)
	for range 8 {
		group.Go(func() {
			for !stop.Load() {
				x := ask(method, "/", "")
				if f := set.Forward(x, "up"); f != nil {
					t.Errorf("a client saw the restart: %v", f)
					return
				}
				io.Copy(io.Discard, x.Response.Body)
				x.Response.Body.Close()
				done.Add(1)
			}
		})
	}
	for range 5 {
		before := done.Load()
		eventually(t, "progress", func() bool { return done.Load() > before+100 })
		end(server)
		before = done.Load()
		eventually(t, "progress while one is down", func() bool { return done.Load() > before+100 })
		if l, err = net.Listen("tcp", address); err != nil {
			t.Fatal(err)
		}
		server = start(l)
	}
	stop.Store(true)
	group.Wait()
	server.Close()
}
