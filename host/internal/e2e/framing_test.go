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
