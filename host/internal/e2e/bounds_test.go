package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// bounded is a listener with tight bounds, before a stage that bounds bodies.
const bounded = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"
[listener.limits]
header_bytes = "4KiB"
header_count = 20
header_timeout = "300ms"
idle_timeout = "300ms"
body_timeout = "300ms"
[[listener]]
name = "few"
address = "127.0.0.1:0"
limits.connections = 3
[upstream.origin]
endpoints = [%q]
[policy]
headers.source = %q
[edge]
[[edge.stage]]
name = "small"
when.path = "/small/*"
max_request_body = "1KiB"
use = [{ policy = "headers" }]
[[edge.stage]]
name = "smaller"
when.path = "/small/er"
max_request_body = "10B"
use = [{ policy = "headers" }]
[service]
upstream = "origin"
`

func startBounded(t testing.TB, o *origin) *host {
	t.Helper()
	return start(t, fmt.Sprintf(bounded, o.URL, shipped(t, "headers")))
}

func TestHeaderBounds(t *testing.T) {
	h := startBounded(t, startOrigin(t))
	many := strings.Repeat("X-A: b\r\n", 30)
	large := "X-A: " + strings.Repeat("b", 10000) + "\r\n"
	for name, fields := range map[string]string{"many": many, "large": large, "much too large": strings.Repeat(large, 1000)} {
		t.Run(name, func(t *testing.T) {
			c := h.dial(t, h1)
			go io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
			if status := c.status(); status != 431 {
				t.Errorf("got status %d, want 431", status)
			}
			c.wantClosed()
		})
		t.Run(name+" over HTTP/2", func(t *testing.T) {
			c := h.client(t, h2c)
			r := c.request(t, "GET", "/", nil)
			for line := range strings.Lines(fields) {
				r.Header.Add("x-a", strings.TrimSpace(strings.TrimPrefix(line, "X-A: ")))
			}
			resp, err := c.transport.RoundTrip(r)
			if err != nil {
				return // the client has read that it must not send so much
			}
			defer resp.Body.Close()
			if resp.StatusCode != 431 {
				t.Errorf("got status %d, want 431", resp.StatusCode)
			}
			c.transport.CloseIdleConnections()
		})
	}
	c := h.client(t, h1)
	if resp, _ := c.get(t, "/"); resp.StatusCode != 200 {
		t.Errorf("a small one: got status %d", resp.StatusCode)
	}
}

// TestBodyBounds has the bound of a stage hold for bodies that tell their length
// and for those that turn out too large, of which the origin gets no whole one.
func TestBodyBounds(t *testing.T) {
	o := startOrigin(t)
	var whole atomic.Int64 // bodies that the origin has read to their end
	for _, path := range []string{"/small/a", "/small/er", "/large"} {
		o.handlers[path] = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				whole.Add(1)
			}
		})
	}
	h := startBounded(t, o)
	for _, w := range []wire{h1, h2c} {
		c := h.client(t, w)
		for _, test := range []struct {
			path   string
			size   int
			status int
		}{
			{"/small/a", 1024, 200}, {"/small/a", 1025, 413}, {"/small/a", 100000, 413},
			{"/small/er", 10, 200}, {"/small/er", 11, 413},
			{"/large", 100000, 200},
		} {
			body := strings.Repeat("x", test.size)
			for _, content := range []io.Reader{strings.NewReader(body), io.NopCloser(strings.NewReader(body))} {
				before := whole.Load()
				resp := c.do(t, c.request(t, "POST", test.path, content))
				text := all(t, resp.Body)
				if resp.StatusCode != test.status || test.status == 413 && text != "413 Content Too Large\n" {
					t.Errorf("%s: %s with %d bytes of %T: got status %d and %q, want %d",
						w.name, test.path, test.size, content, resp.StatusCode, text, test.status)
				}
				if arrived := whole.Load() > before; arrived != (test.status == 200) {
					t.Errorf("%s: %s with %d bytes of %T: the origin got it: %v", w.name, test.path, test.size, content, arrived)
				}
				c.transport.CloseIdleConnections() // whether it can be used again is not the matter here
			}
		}
	}
}

// TestSlowClients are given up by the listener's timeouts.
func TestSlowClients(t *testing.T) {
	h := startBounded(t, startOrigin(t))
	t.Run("nothing", func(t *testing.T) { h.dial(t, h1).wantClosed() })
	t.Run("head", func(t *testing.T) {
		c := h.dial(t, h1)
		drip(t, c, "GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
		c.wantEnd()
	})
	t.Run("idle", func(t *testing.T) {
		c := h.dial(t, h1)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if status := c.status(); status != 200 {
			t.Errorf("got status %d", status)
		}
		c.wantClosed()
	})
	t.Run("body", func(t *testing.T) {
		c := h.dial(t, h1)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive.")
		if status := c.status(); status != 408 {
			t.Errorf("got status %d, want 408", status)
		}
		c.wantClosed()
	})
}

// TestBodyThatNeverComes to a policy that waits for it: whatever bound is passed
// first ends the wait.
func TestBodyThatNeverComes(t *testing.T) {
	for _, test := range []struct {
		name, limits, edge, stage string
		status                    int
	}{
		{"the listener's", `limits.body_timeout = "200ms"`, "", "", 408},
		{"the tier's", "", `timeout = "200ms"`, "", 504},
		{"the stage's", "", "", `timeout = "200ms"`, 504},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, fmt.Sprintf(`
[[listener]]
name = "plain"
address = "127.0.0.1:0"
%s
[upstream.origin]
endpoints = ["ergo:echo"]
[policy.guest]
source = %q
[edge]
%s
[[edge.stage]]
name = "all"
%s
use = [{ policy = "guest" }]
[service]
upstream = "origin"
`, test.limits, guest(t, "buffer(64KiB)"), test.edge, test.stage))
			c := h.dial(t, h1)
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive.")
			if status := c.status(); status != test.status {
				t.Errorf("got status %d, want %d", status, test.status)
			}
			c.wantClosed()

			body, in := io.Pipe()
			defer in.Close()
			over2 := h.client(t, h2c)
			r := over2.request(t, "POST", "/", body)
			go io.WriteString(in, "five.")
			if resp := over2.do(t, r); resp.StatusCode != test.status {
				t.Errorf("over HTTP/2: got status %d, want %d", resp.StatusCode, test.status)
			}
			if resp, _ := over2.get(t, "/"); resp.StatusCode != 200 {
				t.Errorf("afterwards: got status %d", resp.StatusCode)
			}
		})
	}
}

// drip sends a byte now and then until the other side has had enough.
func drip(t testing.TB, c *raw, begin string) {
	t.Helper()
	c.send(begin)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-pace.C {
		if _, err := io.WriteString(c.Conn, "x"); err != nil {
			return
		}
	}
	t.Error("the host reads on and on")
}

// TestConnectionBound closes connections beyond it, and lets new ones in when
// others have ended.
func TestConnectionBound(t *testing.T) {
	release := make(chan struct{})
	o := startOrigin(t)
	path := o.at(hosttest.Gate(release).ServeHTTP)
	h := startBounded(t, o)
	h.addrs["plain"] = h.addrs["few"]
	var busy []*raw
	for range 3 {
		c := h.dial(t, h1)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		busy = append(busy, c)
	}
	hosttest.Eventually(t, func() bool { return h.inFlight(t) == 3 }, "three exchanges are on their way")
	h.dial(t, h1).wantClosed()
	close(release)
	for _, c := range busy {
		if status := c.status(); status != 200 {
			t.Errorf("got status %d", status)
		}
		c.Close()
	}
	hosttest.Eventually(t, func() bool {
		c := h.dial(t, h1)
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		line, err := c.r.ReadString('\n')
		return err == nil && strings.Contains(line, "200")
	}, "a new connection is let in")
}
