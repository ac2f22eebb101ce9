package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wire is a way to reach a host.
type wire struct {
	name       string
	secure, h2 bool
}

var (
	h1       = wire{"h1", false, false}
	h1Secure = wire{"h1 tls", true, false}
	h2c      = wire{"h2c", false, true}
	h2Secure = wire{"h2", true, true}
	wires    = []wire{h1, h1Secure, h2c, h2Secure}
)

// listener is the name of the one that serves the wire.
func (w wire) listener() string {
	if w.secure {
		return "secure"
	}
	return "plain"
}

func (w wire) scheme() string {
	if w.secure {
		return "https"
	}
	return "http"
}

func (w wire) transport(t testing.TB) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!w.h2)
	protocols.SetHTTP2(w.secure && w.h2)
	protocols.SetUnencryptedHTTP2(!w.secure && w.h2)
	transport := &http.Transport{
		Protocols:             protocols,
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true}, // certificates are other tests' business
		DisableCompression:    true,
		ExpectContinueTimeout: patience,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// client sends requests to one listener over one wire.
type client struct {
	wire
	transport *http.Transport
	addr      string
	host      string      // authority that is asked for
	header    http.Header // sent with every request
}

func (h *host) client(t testing.TB, w wire) *client {
	t.Helper()
	addr := h.addrs[w.listener()]
	if addr == "" {
		t.Fatalf("no listener %q", w.listener())
	}
	return &client{wire: w, transport: w.transport(t), addr: addr, host: "site.test", header: http.Header{}}
}

// request makes a request that ends with the test.
func (c *client) request(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, c.scheme()+"://"+c.addr+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = c.host
	for name, values := range c.header {
		r.Header[name] = values
	}
	return r
}

// do sends a request; the response's body is closed with the test.
func (c *client) do(t testing.TB, r *http.Request) *http.Response {
	t.Helper()
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// get asks for target and reads the whole answer.
func (c *client) get(t testing.TB, target string) (*http.Response, string) {
	t.Helper()
	resp := c.do(t, c.request(t, "GET", target, nil))
	return resp, all(t, resp.Body)
}

func all(t testing.TB, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read after %d bytes: %v", len(text), err)
	}
	return string(text)
}

// expect reads exactly want.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

func send(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// raw is a connection on which a test says every byte itself.
type raw struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// dial opens a connection to a listener; over TLS if the wire is secure.
func (h *host) dial(t testing.TB, w wire) *raw {
	t.Helper()
	c, err := net.Dial("tcp", h.addrs[w.listener()])
	if err != nil {
		t.Fatal(err)
	}
	if w.secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	t.Cleanup(func() { c.Close() })
	return newRaw(t, c)
}

func newRaw(t testing.TB, c net.Conn) *raw {
	c.SetDeadline(time.Now().Add(patience))
	return &raw{c, t, bufio.NewReader(c)}
}

// Read follows io.Reader, after what was read ahead.
func (c *raw) Read(p []byte) (int, error) { return c.r.Read(p) }

func (c *raw) send(s string) { c.t.Helper(); send(c.t, c.Conn, s) }

// closeWrite ends the direction to the host alone.
func (c *raw) closeWrite() {
	c.t.Helper()
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// head reads lines up to an empty one.
func (c *raw) head() []string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read after %q and %q: %v", lines, line, err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

// response reads a whole response to a request of that method.
func (c *raw) response(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	return resp, all(c.t, resp.Body)
}

// status reads the head of a response, with its body if that comes: a connection
// that ends after an error may take it along.
func (c *raw) status() int {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// wantEnd fails unless the host ends the connection, whatever it says before.
func (c *raw) wantEnd() {
	c.t.Helper()
	var timeout net.Error
	if _, err := io.Copy(io.Discard, c.r); errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Error("the connection stays open")
	}
}

// wantClosed fails unless the host ends the connection without a further byte.
func (c *raw) wantClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if len(rest) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("got %q, %v, want the end of the connection", rest, err)
	}
}
