package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// recorder is an origin that keeps every byte it gets, and takes for a request
// only what has one meaning. It shares no code with the host: what it makes of
// the bytes is this file's reading of RFC 9112.
type recorder struct {
	addr string

	mu    sync.Mutex
	conns []*recorded
}

// recorded is one connection.
type recorded struct {
	whole  []recordedRequest
	rest   []byte // after the last whole request
	broken string // what in rest can be no request, however it goes on
	told   bool   // that it is
}

// recordedRequest is one whole request.
type recordedRequest struct {
	method, target, version string
	fields                  []string // lines
	body                    string
	trailer                 []string // lines
}

// value is a field's value, "" if there is none.
func (r *recordedRequest) value(name string) string {
	for _, line := range r.fields {
		if n, value, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func startRecorder(t testing.TB) *recorder {
	r := &recorder{}
	r.addr = hosttest.Raw(t, r.serve)
	return r
}

// serve answers each request with its method and target.
func (r *recorder) serve(c net.Conn) {
	conn := &recorded{}
	r.mu.Lock()
	r.conns = append(r.conns, conn)
	r.mu.Unlock()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		r.mu.Lock()
		before := len(conn.whole)
		conn.take(buf[:n])
		fresh := conn.whole[before:]
		r.mu.Unlock()
		for _, request := range fresh {
			if _, err := io.WriteString(c, request.answer()); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// answer names the request that it is for, so that a mix-up shows.
func (r *recordedRequest) answer() string {
	body := r.method + " " + r.target
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	if r.method == "HEAD" {
		return head
	}
	return head + body
}

// take adds bytes, and moves what they complete to the whole requests.
func (c *recorded) take(more []byte) {
	c.rest = append(c.rest, more...)
	for c.broken == "" && len(c.rest) > 0 {
		request, size, err := cutRequest(c.rest)
		if err != nil {
			c.broken = err.Error()
		}
		if size == 0 {
			return
		}
		c.whole, c.rest = append(c.whole, request), c.rest[size:]
	}
}

// requests are all whole requests, of all connections.
func (r *recorder) requests() (all []recordedRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		all = append(all, c.whole...)
	}
	return all
}

// check fails the test for each connection on which bytes came that are no
// request, once.
func (r *recorder) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		if c.broken != "" && !c.told {
			c.told = true
			t.Errorf("the origin got what is no request: %s: %.300q", c.broken, c.rest)
		}
	}
}

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+\\-.^_`|~0-9A-Za-z]+) ((?:/|\\*)[^\\x00-\\x20\\x7f#]*) (HTTP/1\\.1)$")
	fieldLine   = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+:[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$")
	chunkLine   = regexp.MustCompile(`^[0-9a-fA-F]{1,15}$`)
	lengthValue = regexp.MustCompile(`^[0-9]{1,18}$`)
)

// cutRequest takes one request from the beginning of buf. size is 0 while bytes
// are missing. An error says why buf cannot begin with a request.
func cutRequest(buf []byte) (r recordedRequest, size int, err error) {
	lines, size, err := cutLines(buf)
	if size == 0 || err != nil {
		return r, 0, err
	}
	match := requestLine.FindStringSubmatch(lines[0])
	if match == nil {
		return r, 0, fmt.Errorf("request line %.100q", lines[0])
	}
	r = recordedRequest{method: match[1], target: match[2], version: match[3], fields: lines[1:]}
	length, chunked, err := r.framing()
	if err != nil {
		return r, 0, err
	}
	if !chunked {
		if len(buf)-size < length {
			return r, 0, nil
		}
		r.body = string(buf[size : size+length])
		return r, size + length, nil
	}
	return r.cutChunks(buf, size)
}

// cutLines cuts a head, of which each line must end in CRLF.
func cutLines(buf []byte) (lines []string, size int, err error) {
	for {
		line, _, found := bytes.Cut(buf[size:], []byte("\n"))
		if !found {
			return nil, 0, nil
		}
		text, ended := strings.CutSuffix(string(line), "\r")
		if !ended {
			return nil, 0, fmt.Errorf("a line without CR: %.100q", line)
		}
		size += len(line) + 1
		switch {
		case text == "" && lines == nil:
			return nil, 0, fmt.Errorf("an empty line before a request")
		case text == "":
			return lines, size, nil
		case lines != nil && !fieldLine.MatchString(text):
			return nil, 0, fmt.Errorf("field line %.100q", text)
		}
		lines = append(lines, text)
	}
}

// framing is how the body ends; it must be said once.
func (r *recordedRequest) framing() (length int, chunked bool, err error) {
	hosts, framings := 0, 0
	for _, line := range r.fields {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		switch strings.ReplaceAll(strings.ToLower(name), "_", "-") { // as CGI names them
		case "host":
			hosts++
		case "content-length":
			framings++
			if !lengthValue.MatchString(value) {
				return 0, false, fmt.Errorf("length %q", value)
			}
			length, _ = strconv.Atoi(value)
		case "transfer-encoding":
			framings++
			if chunked = value == "chunked"; !chunked {
				return 0, false, fmt.Errorf("coding %q", value)
			}
		case "upgrade":
			if strings.Contains(strings.ToLower(value), "h2c") {
				return 0, false, fmt.Errorf("asked to switch to %q", value)
			}
		}
	}
	if hosts != 1 || framings > 1 {
		return 0, false, fmt.Errorf("%d hosts, %d framings", hosts, framings)
	}
	return length, chunked, nil
}

// cutChunks takes a chunked body and its trailer, which begin at buf[at].
func (r *recordedRequest) cutChunks(buf []byte, at int) (_ recordedRequest, size int, err error) {
	for {
		line, _, found := bytes.Cut(buf[at:], []byte("\r\n"))
		if !found {
			return *r, 0, nil
		}
		if !chunkLine.Match(line) {
			return *r, 0, fmt.Errorf("chunk line %.100q", line)
		}
		n, _ := strconv.ParseInt(string(line), 16, 63)
		at += len(line) + 2
		if n == 0 {
			return r.cutTrailer(buf, at)
		}
		if int64(len(buf)-at) < n+2 {
			return *r, 0, nil
		}
		if end := buf[at+int(n) : at+int(n)+2]; string(end) != "\r\n" {
			return *r, 0, fmt.Errorf("%q after a chunk", end)
		}
		r.body += string(buf[at : at+int(n)])
		at += int(n) + 2
	}
}

func (r *recordedRequest) cutTrailer(buf []byte, at int) (_ recordedRequest, size int, err error) {
	if bytes.HasPrefix(buf[at:], []byte("\r\n")) {
		return *r, at + 2, nil
	}
	lines, size, err := cutLines(buf[at:])
	if size == 0 || err != nil {
		return *r, 0, err
	}
	for _, line := range lines {
		name, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(line), "_", "-"), ":")
		if !fieldLine.MatchString(line) || name == "content-length" || name == "transfer-encoding" || name == "host" {
			return *r, 0, fmt.Errorf("trailer line %.100q", line)
		}
	}
	r.trailer = lines
	return *r, at + size, nil
}

// TestRecorder has the recorder tell requests from what is none: the corpus is
// worth as much as this.
func TestRecorder(t *testing.T) {
	const get, head = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "POST /a HTTP/1.1\r\nHost: a\r\n"
	for _, test := range []struct {
		bytes  string
		whole  int
		rest   int
		broken bool
	}{
		{"", 0, 0, false},
		{get, 1, 0, false},
		{get + get, 2, 0, false},
		{get[:20], 0, 20, false},
		{head + "Content-Length: 5\r\n\r\nhello" + get, 2, 0, false},
		{head + "Content-Length: 5\r\n\r\nhell", 0, len(head) + 25, false},
		{head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n" + get, 2, 0, false},
		{head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 0, len(head) + 43, false},
		{get + "GET /a HTTP/1.0\r\nHost: a\r\n\r\n", 1, 28, true},
		{"GET /a  HTTP/1.1\r\nHost: a\r\n\r\n", 0, 29, true},
		{"GET /a HTTP/1.1\nHost: a\r\n\r\n", 0, 27, true},
		{"GET /a HTTP/1.1\r\n\r\n", 0, 19, true},
		{head + "Host: a\r\n\r\n", 0, len(head) + 11, true},
		{head + "X : y\r\n\r\n", 0, len(head) + 9, true},
		{head + " X: y\r\n\r\n", 0, len(head) + 9, true},
		{head + "X: y\rz\r\n\r\n", 0, len(head) + 10, true},
		{head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 0, len(head) + 45, true},
		{head + "Content-Length: +5\r\n\r\nhello", 0, len(head) + 27, true},
		{head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, len(head) + 49, true},
		{head + "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", 0, len(head) + 49, true},
		{head + "Transfer-Encoding: chunked, chunked\r\n\r\n", 0, len(head) + 39, true},
		{head + "Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n", 0, len(head) + 42, true},
		{head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n", 0, len(head) + 41, true},
		{head + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", 0, len(head) + 54, true},
	} {
		c := &recorded{}
		for i := range test.bytes {
			c.take([]byte(test.bytes[i : i+1]))
		}
		if len(c.whole) != test.whole || len(c.rest) != test.rest || c.broken != "" != test.broken {
			t.Errorf("%q: got %d requests, %d more bytes, broken: %q; want %d, %d, %v",
				test.bytes, len(c.whole), len(c.rest), c.broken, test.whole, test.rest, test.broken)
		}
	}
}
