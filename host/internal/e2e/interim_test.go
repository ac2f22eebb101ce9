package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestEarlyAnswers has the origin refuse an upload while it still arrives. The
// client gets that answer, whatever the origin does about the rest.
func TestEarlyAnswers(t *testing.T) {
	for name, then := range map[string]func(c *raw, ended <-chan struct{}){
		"and closes":            func(*raw, <-chan struct{}) {},
		"and resets":            func(c *raw, _ <-chan struct{}) { c.Conn.(*net.TCPConn).SetLinger(0) },
		"and reads on":          func(c *raw, _ <-chan struct{}) { io.Copy(io.Discard, c.r) },
		"and reads no more":     func(_ *raw, ended <-chan struct{}) { <-ended },
		"and ends its half":     func(c *raw, _ <-chan struct{}) { c.closeWrite(); io.Copy(io.Discard, c.r) },
		"and closes after some": func(c *raw, _ <-chan struct{}) { io.CopyN(io.Discard, c.r, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			h, _ := startBefore(t, func(c *raw) {
				r, ok := c.request()
				switch {
				case !ok:
				case r.Method == "GET":
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				default:
					c.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
					then(c, ended)
				}
			})
			defer close(ended)
			testEarlyAnswers(t, h)
		})
	}
}

func testEarlyAnswers(t *testing.T, h *host) {
	const length, pieceBytes = 64 << 20, 64 << 10
	for _, framing := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n", length), "Transfer-Encoding: chunked\r\n\r\n"} {
		c := h.dial(t, h1)
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + framing)
		go func() {
			piece := strings.Repeat("x", pieceBytes)
			if strings.HasPrefix(framing, "Transfer") {
				piece = fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
			}
			for range length / pieceBytes {
				if _, err := io.WriteString(c.Conn, piece); err != nil {
					return
				}
			}
		}()
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatalf("%q: %v", framing, err)
		}
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(body) != "too much" {
			t.Errorf("%q: got status %d and %q, %v", framing, resp.StatusCode, body, err)
		}
		c.Close()
	}
	if resp, body := h.client(t, h1).get(t, "/"); resp.StatusCode != 200 || body != "ok" {
		t.Errorf("afterwards: got status %d and %q", resp.StatusCode, body)
	}
}

// TestClientsThatGo are noticed whatever the exchange waits for: the origin's
// connection ends, and no part of a request is taken for a whole one.
func TestClientsThatGo(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"
	for _, test := range []struct {
		name, request string
		answer        string // the origin's, before it waits for the end
	}{
		{"waiting for an answer", get, ""},
		{"waiting for an answer to a body", post + "hello", ""},
		{"within a body of a length", post, ""},
		{"within chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ""},
		{"within a response", get, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{"within events", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"within both bodies", post, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
	} {
		for _, w := range []wire{h1, h1Secure} {
			for _, reset := range []bool{false, true} {
				if w.secure && reset {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/reset %v", w.name, test.name, reset), func(t *testing.T) {
					testClientGoes(t, w, reset, test.request, test.answer)
				})
			}
		}
	}
}

func testClientGoes(t *testing.T, w wire, reset bool, request, answer string) {
	arrived, rest := make(chan struct{}, 8), make(chan string, 8)
	h, _ := startBefore(t, func(c *raw) {
		c.head()
		c.say("%s", answer)
		arrived <- struct{}{}
		text, _ := io.ReadAll(c.r)
		rest <- string(text)
	})
	c := h.dial(t, w)
	c.send(request)
	within(t, arrived, "the request arrives")
	if answer != "" {
		c.head()
		if _, err := c.r.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	if reset {
		c.Conn.(*net.TCPConn).SetLinger(0)
	}
	c.Close()
	text := within(t, rest, "the origin's connection ends")
	if strings.Contains(text, "\r\n0\r\n") {
		t.Errorf("the origin got the end of what had none: %q", text)
	}
	hosttest.Eventually(t, func() bool { return h.inFlight(t) == 0 }, "the exchange is over")
	if n := len(arrived); n > 0 {
		t.Errorf("the request was sent %d more times", n)
	}
}

// TestTrailersOnTheWire passes their spelling and order on, and drops those that
// may not be any.
func TestTrailersOnTheWire(t *testing.T) {
	trailers := make(chan []string, 1)
	h, _ := startBefore(t, func(c *raw) {
		c.head()
		expect(t, c.r, "4\r\nbody\r\n0\r\n")
		trailers <- c.head()
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-SUM\r\n\r\n" +
			"4\r\nbody\r\n0\r\nx-SUM: 1\r\nContent-Length: 5\r\nX-Other: 2\r\nx-SUM: 3\r\n\r\n")
	})
	c := h.dial(t, h1)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: x-SUM, Content-Length\r\n\r\n" +
		"4;a=b\r\nbody\r\n0\r\nx-SUM: 1\r\nContent-Length: 5\r\nX-Other: 2\r\nx-SUM: 3\r\n\r\n")
	want := []string{"x-SUM: 1", "X-Other: 2", "x-SUM: 3"}
	if got := within(t, trailers, "a trailer"); !slices.Equal(got, want) {
		t.Errorf("the origin got the trailer %q, want %q", got, want)
	}
	c.head()
	expect(t, c.r, "4\r\nbody\r\n0\r\n")
	if got := c.head(); !slices.Equal(got, want) {
		t.Errorf("the client got the trailer %q, want %q", got, want)
	}
}

// TestInterimResponses arrive before the origin goes on, and 100 (Continue)
// once, before the body.
func TestInterimResponses(t *testing.T) {
	next := make(chan struct{})
	h, _ := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			if r.Method == "GET" {
				c.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n")
				<-next
				c.say("HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n")
				<-next
			} else {
				c.say("HTTP/1.1 100 Continue\r\n\r\n")
			}
			body, _ := io.ReadAll(r.Body)
			c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	})
	c := h.dial(t, h1)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	links := 0
	for range 2 {
		head := c.head()
		if head[0] != "HTTP/1.1 103 Early Hints" {
			t.Fatalf("got %q", head)
		}
		for _, line := range head {
			switch name, _, _ := strings.Cut(strings.ToLower(line), ":"); name {
			case "link":
				links++
			case "content-length", "transfer-encoding":
				t.Errorf("got %q, which a 103 has not", line)
			}
		}
		next <- struct{}{}
	}
	if resp, body := c.response("GET"); resp.StatusCode != 200 || body != "" || links != 3 {
		t.Errorf("got status %d and %q after %d links", resp.StatusCode, body, links)
	}
	for _, framing := range []string{"Content-Length: 4\r\n\r\n|body", "Transfer-Encoding: chunked\r\n\r\n|4\r\nbody\r\n0\r\n\r\n"} {
		head, body, _ := strings.Cut(framing, "|")
		c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + head)
		if got := c.head(); got[0] != "HTTP/1.1 100 Continue" {
			t.Fatalf("got %q", got)
		}
		c.send(body)
		if resp, body := c.response("POST"); resp.StatusCode != 200 || body != "body" {
			t.Errorf("got status %d and %q", resp.StatusCode, body)
		}
	}
}

// TestFieldsKeepOrderAndSpelling on their way in both directions.
func TestFieldsKeepOrderAndSpelling(t *testing.T) {
	heads := make(chan []string, 1)
	h, _ := startBefore(t, func(c *raw) {
		heads <- c.head()
		c.say("HTTP/1.1 200 OK\r\nx-b: 2\r\nSet-Cookie: b=1, c\r\nX-B: 1\r\nset-cookie: a=2\r\nX-EMPTY:\r\nX-a: \xff\r\nContent-Length: 0\r\n\r\n")
	})
	c := h.dial(t, h1)
	c.send("GET / HTTP/1.1\r\nx-b: 2\r\ncookie: b=1\r\nHost: a\r\nX-A: \xff\r\nX-B:1  \r\nCookie: a=2\r\nUSER-agent: me\r\nx-Empty:\r\n\r\n")
	ours := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			return !slices.Contains([]string{"x-a", "x-b", "x-empty", "cookie", "set-cookie", "user-agent"}, name)
		})
	}
	want := []string{"x-b: 2", "cookie: b=1", "X-A: \xff", "X-B: 1", "Cookie: a=2", "USER-agent: me", "x-Empty: "}
	if got := ours(within(t, heads, "a request")); !slices.Equal(got, want) {
		t.Errorf("the origin saw %q, want %q", got, want)
	}
	want = []string{"x-b: 2", "Set-Cookie: b=1, c", "X-B: 1", "set-cookie: a=2", "X-EMPTY: ", "X-a: \xff"}
	if got := ours(c.head()); !slices.Equal(got, want) {
		t.Errorf("the client saw %q, want %q", got, want)
	}
}
