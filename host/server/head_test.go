package server_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// describe answers with the request's head, one line for each part.
func describe(x *exchange.Exchange) {
	req := &x.Request
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q %s length=%d upgrade=%q\n", req.Method, req.Target, req.Authority, req.Version, req.Length, req.Upgrade)
	for _, f := range req.Header.Fields() {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	answer(x, 200, b.String())
}

func TestRequestLineAndHost(t *testing.T) {
	addr := start(t, describe, settings())
	for _, test := range []struct {
		name, request string
		status        int
		want          string // first line of what describe says
	}{
		{"origin form", "GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", 200, `GET /a?b "h:80" HTTP/1.1 length=0 upgrade=""`},
		{"encoded path stays", "GET /a%2f/../b//%20 HTTP/1.1\r\nHost: h\r\n\r\n", 200, `GET /a%2f/../b//%20 "h" HTTP/1.1 length=0 upgrade=""`},
		{"absolute form", "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 200, `GET /a "h" HTTP/1.1 length=0 upgrade=""`},
		{"absolute form and another Host", "GET http://h/a HTTP/1.1\r\nHost: other\r\n\r\n", 400, ""},
		{"absolute form without path", "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", 200, `GET /?q "h" HTTP/1.1 length=0 upgrade=""`},
		{"absolute form with user", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
		{"absolute form, other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
		{"https on a plain connection", "GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 421, ""},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 200, `OPTIONS * "h" HTTP/1.1 length=0 upgrade=""`},
		{"asterisk form of GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, ""},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, ""},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, ""},
		{"user in Host", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, ""},
		{"path in Host", "GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", 400, ""},
		{"IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200, `GET / "[::1]:8080" HTTP/1.1 length=0 upgrade=""`},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 200, `GET / "" HTTP/1.0 length=0 upgrade=""`},
		{"any method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 200, `BREW / "h" HTTP/1.1 length=0 upgrade=""`},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 200, `TRACE / "h" HTTP/1.1 length=0 upgrade=""`},
		{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501, ""},
		{"known length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 200, `POST / "h" HTTP/1.1 length=3 upgrade=""`},
		{"unknown length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, `POST / "h" HTTP/1.1 length=-1 upgrade=""`},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, ""},
		{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, ""},
		{"signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400, ""},
		{"space before colon", "GET / HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n", 400, ""},
		{"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400, ""},
		{"unknown version", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505, ""},
		{"half a preface of HTTP/2", "PRI * HTTP/2.0\r\nHost: a\r\nHost-like: b\r\n\r\n", 505, ""},
		{"unknown expectation", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(test.request)
			method, _, _ := strings.Cut(test.request, " ")
			resp, body := c.response(method)
			if resp.StatusCode != test.status {
				t.Fatalf("status: got %d, want %d", resp.StatusCode, test.status)
			}
			if got, _, _ := strings.Cut(body, "\n"); test.want != "" && got != test.want {
				t.Errorf("request: got %s, want %s", got, test.want)
			}
			if test.status >= 400 {
				c.closed()
			}
		})
	}
}

func TestHopByHopFieldsEndHere(t *testing.T) {
	addr := start(t, describe, settings())
	c := dial(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n" +
		"TE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\nProxy-Connection: close\r\nX-Yours: 2\r\n\r\n")
	_, body := c.response("GET")
	want := "GET / \"h\" HTTP/1.1 length=0 upgrade=\"\"\nX-Yours: 2\nTE: trailers\n"
	if body != want {
		t.Errorf("request: got %q, want %q", body, want)
	}
}

func TestFieldsKeepTheirOrder(t *testing.T) {
	addr := start(t, describe, settings())
	c := dial(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: h\r\nB: 2\r\nA: x\r\nB: 1\r\nB: 3\r\n\r\n")
	_, body := c.response("GET")
	if want := "\nB: 2\nA: x\nB: 1\nB: 3\n"; !strings.HasSuffix(body, want) {
		t.Errorf("fields: got %q, want %q at the end", body, want)
	}
}

func TestUpgradeIsAskedFor(t *testing.T) {
	addr := start(t, describe, settings())
	for _, test := range []struct{ name, request, want string }{
		{"websocket", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "websocket"},
		{"not in Connection", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", ""},
		{"withdrawn", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", ""},
		{"with a body", "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\na", ""},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(test.request)
			_, body := c.response("GET")
			if want := fmt.Sprintf("upgrade=%q\n", test.want); !strings.Contains(body, want) {
				t.Errorf("got %q, want %s in it", body, want)
			}
		})
	}
}

func TestHeaderBounds(t *testing.T) {
	bounded := settings()
	bounded.Limits.HeaderCount = 20
	bounded.Limits.HeaderBytes = 8 << 10
	addr := start(t, describe, bounded)
	for _, test := range []struct {
		name          string
		fields, bytes int // of each field's value
		status        int
	}{
		{"within", 10, 100, 200},
		{"too many", 21, 1, 431},
		{"too large", 3, 2800, 431},
		{"far too large", 6, 3000, 431},
	} {
		value := strings.Repeat("v", test.bytes)
		t.Run(test.name+"/h1", func(t *testing.T) {
			c := dial(t, addr)
			c.send("GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("x: "+value+"\r\n", test.fields) + "\r\n")
			if resp, _ := c.response("GET"); resp.StatusCode != test.status {
				t.Errorf("status: got %d, want %d", resp.StatusCode, test.status)
			}
		})
		t.Run(test.name+"/h2", func(t *testing.T) {
			c := dialH2(t, addr)
			fields := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"}
			for range test.fields {
				fields = append(fields, "x", value)
			}
			c.headers(1, true, fields...)
			if got := c.status(1); got != fmt.Sprint(test.status) {
				t.Errorf("status: got %s, want %d", got, test.status)
			}
		})
	}
}

func TestAuthorityAndHostOfHTTP2Differ(t *testing.T) {
	addr := start(t, describe, settings())
	for _, test := range []struct {
		host   string
		status string
	}{{"", "200"}, {"h", "200"}, {"other", "reset"}} {
		c := dialH2(t, addr)
		fields := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"}
		if test.host != "" {
			fields = append(fields, "host", test.host)
		}
		c.headers(1, true, fields...)
		if got := c.status(1); got != test.status {
			t.Errorf("host %q: got status %s, want %s", test.host, got, test.status)
		}
	}
}

func TestLengthOfHTTP2IsOneNumber(t *testing.T) {
	addr := start(t, describe, settings())
	for _, test := range []struct {
		lengths []string
		status  string
	}{
		{nil, "200"}, {[]string{"2"}, "200"}, {[]string{"2", "2"}, "400"}, {[]string{"2", "3"}, "400"},
		{[]string{"2, 2"}, "400"}, {[]string{"+2"}, "400"}, {[]string{"two"}, "400"},
	} {
		c := dialH2(t, addr)
		fields := []string{":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/"}
		for _, length := range test.lengths {
			fields = append(fields, "content-length", length)
		}
		c.headers(1, false, fields...)
		if err := c.WriteData(1, true, []byte("ok")); err != nil {
			t.Fatal(err)
		}
		got := c.status(1)
		if got == "reset" { // by net/http, which found the body too long before the answer was out
			got = "400"
		}
		if got != test.status {
			t.Errorf("lengths %q: got status %s, want %s", test.lengths, got, test.status)
		}
	}
}

func TestConnectOverHTTP2IsRefused(t *testing.T) {
	c := dialH2(t, start(t, describe, settings()))
	c.headers(1, true, ":method", "CONNECT", ":authority", "h:443")
	if got := c.status(1); got != "501" {
		t.Errorf("CONNECT: got status %s, want 501", got)
	}
	c.headers(3, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
	if got := c.status(3); got != "200" {
		t.Errorf("the connection is used further: got status %s, want 200", got)
	}
}

func TestConnIsDescribed(t *testing.T) {
	conns := make(chan *exchange.Conn, 2)
	addr := start(t, func(x *exchange.Exchange) {
		conns <- x.Conn
		answer(x, 200, "")
	}, settings())
	c := dial(t, addr)
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.response("GET")
	}
	first, second := <-conns, <-conns
	if first != second {
		t.Error("two exchanges of one connection don't share its description")
	}
	if got, want := first.Remote.String(), c.LocalAddr().String(); got != want {
		t.Errorf("remote: got %s, want %s", got, want)
	}
	if got, want := first.Local.String(), addr; got != want {
		t.Errorf("local: got %s, want %s", got, want)
	}
	if first.Listener != "test" || first.ID == 0 || first.TLS != nil {
		t.Errorf("got %+v, want listener test, an id, no TLS", first)
	}
}

func TestExpectStays(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		io.Copy(io.Discard, x.Request.Body)
		describe(x)
	}, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	if got, want := c.head(), []string{"HTTP/1.1 100 Continue"}; !slices.Equal(got, want) {
		t.Fatalf("interim response: got %q, want %q", got, want)
	}
	c.send("a")
	if _, body := c.response("POST"); !strings.Contains(body, "Expect: 100-continue\n") {
		t.Errorf("got %q, want Expect in it: the upstream decides", body)
	}
}
