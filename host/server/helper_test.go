package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
)

// handlerFunc is a function as a server.Handler.
type handlerFunc func(x *exchange.Exchange)

func (f handlerFunc) Serve(x *exchange.Exchange) { f(x) }

// answer sends a response with a body of known length.
func answer(x *exchange.Exchange, status int, body string) error {
	x.Response.Status = status
	x.Response.Body = io.NopCloser(strings.NewReader(body))
	x.Response.Length = int64(len(body))
	return x.Sink.Send(x)
}

// settings are a listener's with the defaults of the manifest.
func settings() manifest.Listener {
	return manifest.Listener{
		Name:    "test",
		Address: "127.0.0.1:0",
		Limits: manifest.ListenLimits{
			Connections:   10000,
			Streams:       250,
			HeaderBytes:   64 << 10,
			HeaderCount:   128,
			HeaderTimeout: manifest.Duration(10 * time.Second),
			BodyTimeout:   manifest.Duration(60 * time.Second),
			IdleTimeout:   manifest.Duration(120 * time.Second),
		},
	}
}

// start serves h on one listener until the test ends, and returns its address.
func start(t testing.TB, h handlerFunc, listener manifest.Listener) string {
	t.Helper()
	s := server.New(h, server.Options{Log: logTo(t)})
	apply(t, s, listener)
	stopAtEnd(t, s)
	return s.Addrs()[listener.Name].String()
}

func stopAtEnd(t testing.TB, s *server.Server) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx) // what a test left open is closed
	})
}

func apply(t testing.TB, s *server.Server, listeners ...manifest.Listener) {
	t.Helper()
	change, err := s.Prepare(listeners)
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	change.Commit()
}

// logTo shows what a server logs in the test's own log.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

// client speaks h2c if h2, else HTTP/1.1.
func client(t testing.TB, h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(h2)
	protocols.SetHTTP1(!h2)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// bothVersions runs a test over HTTP/1.1 and over HTTP/2.
func bothVersions(t *testing.T, test func(t *testing.T, c *http.Client)) {
	t.Run("h1", func(t *testing.T) { test(t, client(t, false)) })
	t.Run("h2", func(t *testing.T) { test(t, client(t, true)) })
}

// rawConn is a connection that a test speaks HTTP/1.1 on byte by byte.
type rawConn struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &rawConn{Conn: c, t: t, r: bufio.NewReader(c)}
}

func (c *rawConn) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// CloseWrite tells the server that nothing more comes.
func (c *rawConn) CloseWrite() { c.Conn.(*net.TCPConn).CloseWrite() }

// line reads a line without its end.
func (c *rawConn) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read line after %q: %v", s, err)
	}
	return strings.TrimRight(s, "\r\n")
}

// head reads lines up to an empty one.
func (c *rawConn) head() []string {
	c.t.Helper()
	var lines []string
	for line := c.line(); line != ""; line = c.line() {
		lines = append(lines, line)
	}
	return lines
}

// response reads a response to a request of that method.
func (c *rawConn) response(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("read response body: %v", err)
	}
	return resp, string(body)
}

// closed fails unless the server ends the connection without a further byte.
func (c *rawConn) closed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 {
		c.t.Errorf("got %q, %v before the end of the connection", rest, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Error("the connection stays open")
	}
}
