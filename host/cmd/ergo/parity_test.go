package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSplitLooksLikeOneProcess sends the same bytes to an edge host with a
// service host behind it and to one process that runs both tiers: the origin and
// the client must not see a difference.
func TestSplitLooksLikeOneProcess(t *testing.T) {
	s := prepare(t)
	origin := httptest.NewServer(http.HandlerFunc(tell))
	t.Cleanup(origin.Close)
	policies, err := filepath.Abs(filepath.Join(root, "policies"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.links {
		s.links[i] = freeAddress(t)
	}
	whole, edge := freeAddress(t), freeAddress(t)
	for i, address := range []string{edge, edge, whole} {
		s.mark(i, address, origin.URL, policies)
	}
	s.startHost(0)
	start(t, s.binary, s.folder, "run", "--tier", "edge", "-c", s.manifest(1))
	start(t, s.binary, s.folder, "run", "-c", s.manifest(2))
	for i := 1; i <= 2; i++ {
		waitReady(t, over(s.socket(i)), "http://admin/readyz")
	}
	for _, c := range []struct{ name, request string }{
		{"plain", "GET /a?b=c HTTP/1.1\r\nHost: www.example.com\r\n\r\n"},
		{"claims", "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\n\r\n"},
		{"words of hosts", "GET / HTTP/1.1\r\nHost: a.example\r\nErgo-Link: e30\r\nErgo-Link-Failure: overload 503 1\r\nErgo-Link-Answered-By: me\r\n\r\n"},
		{"words of hosts in trailers", "POST / HTTP/1.1\r\nHost: a.example\r\nTrailer: Ergo-Link\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nErgo-Link: e30\r\n\r\n"},
		{"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n"},
		{"HTTP/1.0 with host", "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n"},
		{"length", "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"},
		{"trailers", "POST /trailers HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"early hints", "GET /hints HTTP/1.1\r\nHost: a.example\r\n\r\n"},
		{"upgrade", "GET /upgrade HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping"},
		{"failure behind the service tier", "POST /break HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"},
		{"an origin that speaks as a host", "GET /spoof HTTP/1.1\r\nHost: a.example\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			apart, together := exchangeOnce(t, edge, c.request), exchangeOnce(t, whole, c.request)
			if apart != together {
				t.Errorf("apart:\n%s\ntogether:\n%s", apart, together)
			}
			if strings.Contains(strings.ToLower(apart), "ergo-link") {
				t.Errorf("a word of hosts is out:\n%s", apart)
			}
		})
	}
}

// tell is an origin that tells what it was asked.
func tell(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/upgrade":
		echoOnce(w, r)
		return
	case "/break":
		panic(http.ErrAbortHandler)
	case "/spoof":
		w.Header().Set("ergo-link-failure", "overload 503 7")
		w.Header().Set("ergo-link-answered-by", "me")
	case "/hints":
		w.Header().Set("link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	case "/trailers":
		w.Header().Set("trailer", "X-End") // as it is spelled between hosts too
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Header.Del("x-request-id") // made anew each time
	r.Header.Del("x-host")       // of the policy: which process it was
	text, err := json.Marshal(map[string]any{
		"method": r.Method, "target": r.RequestURI, "host": r.Host, "length": r.ContentLength,
		"fields": r.Header, "trailers": r.Trailer, "body": string(body),
	})
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(w, string(text))
	if r.URL.Path == "/trailers" {
		w.Header().Set("x-end", "2")
	}
}

// echoOnce switches protocols and sends four bytes back.
func echoOnce(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Forwarded: %s\r\n\r\n", r.Header.Get("x-forwarded-host"))
	if message, err := buffered.Peek(4); err == nil {
		_, _ = conn.Write(message)
	}
}

// exchangeOnce sends a request on a connection of its own and returns all that
// comes back, sorted, but for fields that differ each time.
func exchangeOnce(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	if !strings.Contains(head, "Upgrade") {
		head += "\r\nConnection: close"
	}
	if _, err := io.WriteString(conn, head+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for in := textproto.NewReader(bufio.NewReader(conn)); ; {
		line, err := in.ReadLine()
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if name != "date" && name != "x-host" && name != "x-request-id" {
			seen = append(seen, line)
		}
		if err != nil {
			if err != io.EOF {
				t.Errorf("%v after %q", err, seen)
			}
			slices.Sort(seen) // net/http keeps no order of fields
			return strings.Join(seen, "\n")
		}
	}
}
