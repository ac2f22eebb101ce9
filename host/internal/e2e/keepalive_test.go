package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// startBefore runs a host before an origin that is served connection by
// connection, and returns how many of those it got.
func startBefore(t *testing.T, serve func(c *raw)) (h *host, conns *atomic.Int32) {
	t.Helper()
	conns = new(atomic.Int32)
	addr := hosttest.Raw(t, func(c net.Conn) {
		conns.Add(1)
		serve(newRaw(t, c))
	})
	return startBoth(t, "http://"+addr, ""), conns
}

// request reads the head of a request; false is the end of the connection.
func (c *raw) request() (r *http.Request, ok bool) {
	r, err := http.ReadRequest(c.r)
	return r, err == nil
}

// say writes a response; who has gone does not hear it.
func (c *raw) say(format string, arguments ...any) { fmt.Fprintf(c.Conn, format, arguments...) }

// echoTargets answers every request with its target.
func echoTargets(c *raw) {
	for {
		r, ok := c.request()
		if !ok {
			return
		}
		io.Copy(io.Discard, r.Body)
		c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.RequestURI), r.RequestURI)
	}
}

// TestKeepAlive has many requests go over one connection on either side.
func TestKeepAlive(t *testing.T) {
	h, conns := startBefore(t, echoTargets)
	for _, w := range []wire{h1, h1Secure} {
		c := h.dial(t, w)
		for i := range 50 {
			target := fmt.Sprintf("/%d", i)
			c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, body := c.response("GET"); resp.StatusCode != 200 || body != target || resp.Close {
				t.Fatalf("%s, request %d: got status %d, %q, to be closed: %v", w.name, i, resp.StatusCode, body, resp.Close)
			}
		}
		c.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if resp, body := c.response("GET"); body != "/last" || !resp.Close {
			t.Errorf("%s, the last one: got %q, to be closed: %v", w.name, body, resp.Close)
		}
		c.wantClosed()
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("the origin got %d connections, want 1", n)
	}
}

// TestPipelining sends a hundred requests before it reads an answer.
func TestPipelining(t *testing.T) {
	h, _ := startBefore(t, echoTargets)
	for _, w := range []wire{h1, h1Secure} {
		c := h.dial(t, w)
		const count = 100
		var all strings.Builder
		for i := range count {
			switch i % 4 {
			case 0:
				fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
			case 1:
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", i)
			case 2:
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", i)
			case 3:
				fmt.Fprintf(&all, "PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n%s", i, strings.Repeat("GET / HTTP/1.1\r\n\r\nxx", 1000))
			}
		}
		go io.WriteString(c.Conn, all.String())
		for i := range count {
			if resp, body := c.response("GET"); resp.StatusCode != 200 || body != fmt.Sprintf("/%d", i) {
				t.Fatalf("%s, answer %d: got status %d and %.100q", w.name, i, resp.StatusCode, body)
			}
		}
	}
}

// TestResponsesWithoutABodyKeepTheConnection: what says how long a body would
// be is not taken for one, on either side.
func TestResponsesWithoutABodyKeepTheConnection(t *testing.T) {
	h, conns := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			switch r.URL.Path {
			case "/head":
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			case "/head-chunked":
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			case "/204":
				c.say("HTTP/1.1 204 No Content\r\n\r\n")
			case "/304":
				c.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"a\"\r\n\r\n")
			default:
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
			}
		}
	})
	c := h.dial(t, h1)
	for range 3 {
		for _, test := range []struct {
			request, status string
			want            []string // framing, as it is on the wire
		}{
			{"HEAD /head", "200 OK", []string{"Content-Length: 1000"}},
			{"HEAD /head-chunked", "200 OK", nil},
			{"GET /204", "204 No Content", nil},
			{"GET /304", "304 Not Modified", []string{"Content-Length: 1000"}},
		} {
			c.send(test.request + " HTTP/1.1\r\nHost: a\r\n\r\nGET /body HTTP/1.1\r\nHost: a\r\n\r\n")
			head := c.head()
			framing := slices.DeleteFunc(slices.Clone(head), func(line string) bool {
				return !strings.HasPrefix(strings.ToLower(line), "content-length:")
			})
			if head[0] != "HTTP/1.1 "+test.status || !slices.Equal(framing, test.want) {
				t.Errorf("%s: got %q, want %s with %q", test.request, head, test.status, test.want)
			}
			if resp, body := c.response("GET"); resp.StatusCode != 200 || body != "body" {
				t.Fatalf("after %s: got status %d and %q", test.request, resp.StatusCode, body)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("the origin got %d connections, want 1", n)
	}
}

// TestOldClients speak HTTP/1.0: they are told when the connection stays, and
// get no coding and no interim response.
func TestOldClients(t *testing.T) {
	h, _ := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			if r.Proto != "HTTP/1.1" {
				t.Errorf("the origin was asked by %s", r.Proto)
			}
			switch r.URL.Path {
			case "/chunked":
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n")
			case "/hints":
				c.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
			default:
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
			}
		}
	})
	for _, test := range []struct {
		target, connection string
		stays              bool
	}{
		{"/", "", false},
		{"/", "keep-alive", true},
		{"/", "Keep-Alive, x", true},
		{"/", "close", false},
		{"/", "keep-alive, close", false},
		{"/hints", "keep-alive", true},
		{"/chunked", "", false},
		{"/chunked", "keep-alive", false}, // nothing but the end of the connection ends its body
	} {
		c := h.dial(t, h1)
		for range 2 {
			c.send("GET " + test.target + " HTTP/1.0\r\n")
			if test.connection != "" {
				c.send("Connection: " + test.connection + "\r\n")
			}
			c.send("\r\n")
			head := c.head()
			stays := slices.ContainsFunc(head, func(line string) bool { return strings.EqualFold(line, "Connection: keep-alive") })
			if !strings.HasSuffix(head[0], " 200 OK") || stays != test.stays {
				t.Errorf("%+v: got %q", test, head)
			}
			for _, line := range head {
				if name, _, _ := strings.Cut(strings.ToLower(line), ":"); name == "transfer-encoding" || name == "trailer" {
					t.Errorf("%+v: got %q, which HTTP/1.0 does not know", test, line)
				}
			}
			if !test.stays {
				if body := all(t, c.r); body != "body" {
					t.Errorf("%+v: got %q", test, body)
				}
				break
			}
			expect(t, c.r, "body")
		}
	}
}

// TestOldOrigins speak HTTP/1.0.
func TestOldOrigins(t *testing.T) {
	h, conns := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			switch r.URL.Path {
			case "/close":
				c.say("HTTP/1.0 200 OK\r\n\r\nold body")
				return
			case "/length":
				c.say("HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nold body")
				return
			case "/keep":
				c.say("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 8\r\n\r\nold body")
			}
		}
	})
	c := h.dial(t, h1)
	for i, target := range []string{"/keep", "/keep", "/keep", "/close", "/length", "/close"} {
		c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.response("GET"); resp.Proto != "HTTP/1.1" || resp.StatusCode != 200 || body != "old body" {
			t.Fatalf("request %d, %s: got %s %d and %q", i, target, resp.Proto, resp.StatusCode, body)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("the origin got %d connections, want 3", n)
	}
}

// TestAbsoluteForm asks as clients ask proxies.
func TestAbsoluteForm(t *testing.T) {
	h, _ := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			body := r.Host + " " + r.RequestURI
			c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	})
	c := h.dial(t, h1)
	for _, test := range []struct{ request, want string }{
		{"GET http://site.test/a?b", "site.test /a?b"},
		{"GET http://site.test", "site.test /"},
		{"GET http://site.test?b", "site.test /?b"},
		{"GET HTTP://site.test/a%2fb//c", "site.test /a%2fb//c"},
		{"OPTIONS http://site.test", "site.test *"},
		{"OPTIONS *", "site.test *"},
	} {
		c.send(test.request + " HTTP/1.1\r\nHost: site.test\r\n\r\n")
		if _, body := c.response("GET"); body != test.want {
			t.Errorf("%s: the origin was asked for %q, want %q", test.request, body, test.want)
		}
	}
}

// TestClosedWhileIdle has the origin end connections that wait for their next
// use. No request is lost to one, not even one that must not be sent twice.
func TestClosedWhileIdle(t *testing.T) {
	for name, reset := range map[string]bool{"closed": false, "reset": true} {
		t.Run(name, func(t *testing.T) {
			end, ended := make(chan struct{}), make(chan struct{})
			var posts atomic.Int32
			h, conns := startBefore(t, func(c *raw) {
				r, ok := c.request()
				if !ok {
					return
				}
				posts.Add(1)
				io.Copy(io.Discard, r.Body)
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				<-end
				if reset {
					c.Conn.(*net.TCPConn).SetLinger(0)
				}
				c.Conn.Close()
				ended <- struct{}{}
			})
			c := h.dial(t, h1)
			const rounds = 20
			for i := range rounds {
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
				if resp, body := c.response("POST"); resp.StatusCode != 200 || body != "ok" {
					t.Errorf("request %d: got status %d and %q", i, resp.StatusCode, body)
				}
				end <- struct{}{}
				<-ended
			}
			if posts.Load() != rounds || conns.Load() != rounds {
				t.Errorf("the origin got %d requests over %d connections, want %d each", posts.Load(), conns.Load(), rounds)
			}
		})
	}
}

// TestClosedOnUse has the origin end a connection when the next request is
// already there. A request that may be sent twice is; another one is not.
func TestClosedOnUse(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	h, _ := startBefore(t, func(c *raw) {
		for i := 0; ; i++ {
			r, ok := c.request()
			if !ok {
				return
			}
			if r.URL.Path == "/end" {
				mu.Lock()
				seen[r.Method]++
				mu.Unlock()
				if i > 0 {
					return
				}
			}
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	for _, test := range []struct {
		method       string
		status, seen int
	}{
		{"GET", 200, 2}, {"PUT", 200, 2}, {"POST", 502, 1},
	} {
		c := h.dial(t, h1)
		c.send("OPTIONS /first HTTP/1.1\r\nHost: a\r\n\r\n")
		c.response("OPTIONS")
		c.send(test.method + " /end HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		resp, _ := c.response(test.method)
		mu.Lock()
		if resp.StatusCode != test.status || seen[test.method] != test.seen {
			t.Errorf("%s: got status %d, sent %d times, want %d, %d", test.method, resp.StatusCode, seen[test.method], test.status, test.seen)
		}
		mu.Unlock()
	}
}
