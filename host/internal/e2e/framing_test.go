package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// witness is an origin that reads its connections as strictly as it can and
// tells what it was asked for.
type witness struct {
	addr string
	saw  chan string // "METHOD TARGET body" of each whole request; "broken: ..." of a message that makes no sense
}

func startWitness(t testing.TB) *witness {
	w := &witness{saw: make(chan string, 100)}
	w.addr = hosttest.Raw(t, w.serve)
	return w
}

func (w *witness) serve(c net.Conn) {
	var wire bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(c, &wire))
	for {
		r, err := http.ReadRequest(reader)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.saw <- fmt.Sprintf("broken: %v", err)
			return
		}
		head, _, _ := strings.Cut(wire.String(), "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			if strings.ContainsAny(line, "\r\n\x00") || strings.HasPrefix(line, " ") {
				w.saw <- fmt.Sprintf("broken: line %q", line)
			}
		}
		if lower := strings.ToLower(head); strings.Count(lower, "\r\ncontent-length:")+strings.Count(lower, "\r\ntransfer-encoding:") > 1 {
			w.saw <- fmt.Sprintf("broken: framed twice: %q", head)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // broken off, and seen to be
		}
		w.saw <- fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		wire.Reset()
	}
}

// seen takes what the witness saw up to a request for /end, which the caller has
// had answered.
func (w *witness) seen(t testing.TB) []string {
	t.Helper()
	var all []string
	for {
		what := within(t, w.saw, "the origin sees /end")
		if strings.HasPrefix(what, "GET /end") {
			return all
		}
		all = append(all, what)
	}
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// TestAmbiguousMessages sends what one reader could take for one request and
// another for two. An origin sees what is named here, and nothing else.
func TestAmbiguousMessages(t *testing.T) {
	w := startWitness(t)
	h := start(t, fmt.Sprintf(bare, `"http://`+w.addr+`"`, ""))
	end := h.client(t, h1)
	for _, test := range []struct {
		name, message string
		status        int // of the answer; 0: the connection ends without one
		seen          []string
	}{
		{"two lengths", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 38\r\n\r\n" + smuggled, 400, nil},
		{"list of lengths", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 38\r\n\r\n" + smuggled, 400, nil},
		{"signed length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n" + smuggled, 400, nil},
		{"negative length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n" + smuggled, 400, nil},
		{"length in hex", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n" + smuggled, 400, nil},
		{"length with words", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0 38\r\n\r\n" + smuggled, 400, nil},
		{"length beyond counting", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n" + smuggled, 400, nil},
		{"equal lengths", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, []string{"POST /a ok"}},
		{"length and coding", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200,
			[]string{"POST /a ok"}},
		{"coding of another name", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + smuggled, 501, nil},
		{"coding twice", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 501, nil},
		{"coding and another", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled, 501, nil},
		{"identity and length", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 38\r\n\r\n" + smuggled, 501, nil},
		{"vertical tab before coding", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + smuggled, 400, nil},
		{"space before colon", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, 400, nil},
		{"no colon", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n\r\n" + smuggled, 400, nil},
		{"no name", "GET /a HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n" + smuggled, 400, nil},
		{"name with NUL", "GET /a HTTP/1.1\r\nHost: a\r\nX\x00: x\r\n\r\n" + smuggled, 400, nil},
		{"value with NUL", "GET /a HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n" + smuggled, 400, nil},
		{"value with CR", "GET /a HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n" + smuggled, 400, nil},
		{"space before the first field", "GET /a HTTP/1.1\r\n Host: a\r\n\r\n" + smuggled, 400, nil},
		{"folded line", "GET /a HTTP/1.1\r\nHost: a\r\nX: a\r\n Y: b\r\nConnection: close\r\n\r\n", 200, []string{"GET /a "}},
		{"bare LF", "GET /a HTTP/1.1\nHost: a\nConnection: close\n\n", 200, []string{"GET /a "}},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, []string{"OPTIONS * "}},
		{"coding in HTTP/1.0", "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled, 200, []string{"POST /a "}},
		{"coding and length in HTTP/1.0", "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok" + smuggled, 200, []string{"POST /a ok"}},
		{"bare CR", "GET /a HTTP/1.1\rHost: a\r\r", 0, nil},
		{"more words", "GET /a /b HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, 400, nil},
		{"no version", "GET /a\r\nHost: a\r\n\r\n" + smuggled, 400, nil},
		{"old form", "GET /a\r\n\r\n" + smuggled, 400, nil},
		{"version in small letters", "GET /a http/1.1\r\nHost: a\r\n\r\n" + smuggled, 400, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := h.dial(t, h1)
			c.send(test.message)
			if test.status == 0 {
				c.closeWrite()
			} else if status := c.status(); status != test.status {
				t.Errorf("got status %d, want %d", status, test.status)
			}
			if test.status == 400 || test.status == 501 {
				c.wantClosed()
			}
			end.get(t, "/end")
			if seen := w.seen(t); !slices.Equal(seen, test.seen) {
				t.Errorf("the origin saw %q, want %q", seen, test.seen)
			}
		})
	}
}

// TestBrokenChunks breaks off in the middle of a message that makes no sense: no
// origin takes it for whole, and nothing of it for a request.
func TestBrokenChunks(t *testing.T) {
	w := startWitness(t)
	h := start(t, fmt.Sprintf(bare, `"http://`+w.addr+`"`, ""))
	end := h.client(t, h1)
	for name, chunks := range map[string]string{
		"no size":              "\r\n\r\n",
		"size in words":        "two\r\nok\r\n0\r\n\r\n",
		"size with prefix":     "0x2\r\nok\r\n0\r\n\r\n",
		"signed size":          "+2\r\nok\r\n0\r\n\r\n",
		"negative size":        "-2\r\nok\r\n0\r\n\r\n",
		"size beyond counting": "10000000000000002\r\nok\r\n0\r\n\r\n",
		"too short":            "2\r\no\r\n0\r\n\r\n",
		"too long":             "2\r\nokay\r\n0\r\n\r\n",
		"no end of chunk":      "2\r\nok0\r\n\r\n",
		"end of trailer":       "2\r\nok\r\n0\r\nX y\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial(t, h1)
			c.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + smuggled)
			if status := c.status(); status != 400 {
				t.Errorf("got status %d, want 400", status)
			}
			c.wantClosed()
			end.get(t, "/end")
			if seen := w.seen(t); len(seen) > 0 {
				t.Errorf("the origin saw %q", seen)
			}
		})
	}
}

// TestPipelinedRequestsAreAnsweredInOrder, each as one.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	w := startWitness(t)
	h := start(t, fmt.Sprintf(bare, `"http://`+w.addr+`"`, ""))
	c := h.dial(t, h1)
	c.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" +
		"GET /end HTTP/1.1\r\nHost: a\r\n\r\n")
	for range 3 {
		if resp, body := c.response("GET"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("got status %d and %q", resp.StatusCode, body)
		}
	}
	if got, want := w.seen(t), []string{"POST /1 ok", "POST /2 ok"}; !slices.Equal(got, want) {
		t.Errorf("the origin saw %q, want %q", got, want)
	}
}

// TestHTTP2FieldsThatHTTP1CannotCarry would mean something else once they were
// written as HTTP/1.1.
func TestHTTP2FieldsThatHTTP1CannotCarry(t *testing.T) {
	w := startWitness(t)
	h := start(t, fmt.Sprintf(bare, `"http://`+w.addr+`"`, ""))
	end := h.client(t, h1)
	for _, test := range []struct {
		name   string
		fields [][2]string // beside or in place of those of a plain POST
		data   string
	}{
		{"line break in a value", [][2]string{{"x", "a\r\nTransfer-Encoding: chunked"}}, "ok"},
		{"line break in a name", [][2]string{{"x: a\r\ny", "b"}}, "ok"},
		{"colon in a name", [][2]string{{"x:y", "b"}}, "ok"},
		{"capitals in a name", [][2]string{{"Content-Length", "0"}}, "ok"},
		{"coding", [][2]string{{"transfer-encoding", "chunked"}}, "0\r\n\r\n" + smuggled},
		{"connection", [][2]string{{"connection", "close"}}, "ok"},
		{"line break in the path", [][2]string{{":path", "/a HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled}}, "ok"},
		{"space in the path", [][2]string{{":path", "/a /b"}}, "ok"},
		{"line break in the method", [][2]string{{":method", "GET /a HTTP/1.1\r\n\r\n" + smuggled}}, "ok"},
		{"line break in the authority", [][2]string{{":authority", "a\r\nX: y"}}, "ok"},
		{"authority and host", [][2]string{{"host", "other"}}, "ok"},
		{"length too small", [][2]string{{"content-length", "1"}}, "ok" + smuggled},
		{"length too large", [][2]string{{"content-length", "100"}}, "ok"},
		{"two lengths", [][2]string{{"content-length", "2"}, {"content-length", "3"}}, "ok"},
		{"equal lengths", [][2]string{{"content-length", "2"}, {"content-length", "2"}}, "ok"},
		{"list of lengths", [][2]string{{"content-length", "2, 2"}}, "ok"},
		{"signed length", [][2]string{{"content-length", "+2"}}, "ok"},
		{"length in words", [][2]string{{"content-length", "two"}}, "ok"},
		{"empty length", [][2]string{{"content-length", ""}}, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status := sendHTTP2(t, h, test.fields, test.data); status == "200" {
				t.Error("got status 200")
			}
			end.get(t, "/end")
			if seen := w.seen(t); len(seen) > 0 {
				t.Errorf("the origin saw %q", seen)
			}
		})
	}
	t.Run("plain", func(t *testing.T) {
		if status := sendHTTP2(t, h, nil, "ok"); status != "200" {
			t.Errorf("got status %q", status)
		}
		end.get(t, "/end")
		if got, want := w.seen(t), []string{"POST /a ok"}; !slices.Equal(got, want) {
			t.Errorf("the origin saw %q, want %q", got, want)
		}
	})
}

// sendHTTP2 sends a request field by field and returns the answer's status, ""
// if there was none.
func sendHTTP2(t *testing.T, h *host, fields [][2]string, data string) (status string) {
	t.Helper()
	c := h.dial(t, h1)
	c.send(http2.ClientPreface)
	framer := http2.NewFramer(c.Conn, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	all := [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/a"}}
	for _, f := range fields {
		i := slices.IndexFunc(all, func(other [2]string) bool { return f[0][0] == ':' && other[0] == f[0] })
		if i >= 0 {
			all[i] = f
		} else {
			all = append(all, f)
		}
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range all {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	framer.WriteData(1, true, []byte(data))
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status = f.PseudoValue("status"); status != "100" {
				return status
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}
