package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// echoAddress is the endpoint that is the origin in the binary.
const echoAddress = "ergo:echo"

// Bounds of the origin in the binary.
const (
	maxEchoBody  = 4 << 10 // of the request, shown in the answer
	maxEchoBytes = 1 << 30 // of /bytes/N
	maxEchoSlow  = 30 * time.Second
)

// echo is an origin in the binary, for demonstrations: it answers with what it
// received, as JSON. /status/N answers with status N, /slow?ms=N after a while,
// /bytes/N with N bytes.
type echo struct{}

var _ transport = echo{}

func (echo) Check(context.Context, *manifest.Health, string) error { return nil }
func (echo) Sweep()                                                {}
func (echo) Close()                                                {}

// received is the answer's body.
type received struct {
	Method    string   `json:"method"`
	Target    string   `json:"target"`
	Authority string   `json:"authority"`
	Version   string   `json:"version"`
	Headers   []string `json:"headers"` // "name: value", in order
	BodyBytes int64    `json:"body_bytes"`
	Body      string   `json:"body,omitempty"` // if it is small and text
	Trailers  []string `json:"trailers,omitempty"`
}

// Carry follows transport.
func (echo) Carry(t *wire.Try) *wire.Error {
	path, query, _ := strings.Cut(t.X.Request.Target, "?")
	if path == "/slow" {
		if e := echoSlow(t, query); e != nil {
			return e
		}
	}
	if n, ok := strings.CutPrefix(path, "/bytes/"); ok {
		return echoBytes(t, n)
	}
	status := 200
	if code, ok := strings.CutPrefix(path, "/status/"); ok {
		if n, err := strconv.Atoi(code); err == nil && n >= 200 && n <= 599 {
			status = n
		}
	}
	said, e := echoReceived(t)
	if e != nil {
		return e
	}
	text, err := json.MarshalIndent(said, "", "  ")
	if err != nil {
		return &wire.Error{Cause: exchange.CauseProtocol, Blame: wire.BlameHost, Err: err}
	}
	text = append(text, '\n')
	echoAnswer(t, status, "application/json", int64(len(text)), bytes.NewReader(text))
	return nil
}

func echoReceived(t *wire.Try) (*received, *wire.Error) {
	r := &t.X.Request
	said := &received{
		Method: r.Method, Target: r.Target, Authority: t.Authority, Version: r.Version.String(),
		Headers: fieldLines(&r.Header),
	}
	body := t.OpenBody()
	if body == nil {
		return said, nil
	}
	head, err := io.ReadAll(io.LimitReader(body, maxEchoBody+1))
	if err == nil {
		said.BodyBytes, err = io.Copy(io.Discard, body)
	}
	if err != nil {
		return nil, &wire.Error{Cause: exchange.CauseClient, Blame: wire.BlameClient, Sent: true, Err: err}
	}
	said.BodyBytes += int64(len(head))
	if len(head) <= maxEchoBody && utf8.Valid(head) {
		said.Body = string(head)
	}
	said.Trailers = fieldLines(&r.Trailer)
	return said, nil
}

func fieldLines(h *exchange.Header) []string {
	lines := make([]string, 0, h.Len())
	for _, f := range h.Fields() {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return lines
}

func echoSlow(t *wire.Try, query string) *wire.Error {
	values, _ := url.ParseQuery(query)
	ms, _ := strconv.Atoi(values.Get("ms"))
	timer := time.NewTimer(min(time.Duration(ms)*time.Millisecond, maxEchoSlow))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.Context().Done():
		e := t.Ended()
		e.Sent = true
		return e
	}
}

func echoBytes(t *wire.Try, count string) *wire.Error {
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 0 {
		n = 0
	}
	n = min(n, maxEchoBytes)
	if n == 0 {
		echoAnswer(t, 200, "application/octet-stream", 0, nil)
		return nil
	}
	echoAnswer(t, 200, "application/octet-stream", n, io.LimitReader(pattern{}, n))
	return nil
}

// pattern is an endless text.
type pattern struct{}

const patternText = "0123456789abcdef"

func (pattern) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], patternText)
	}
	return n, nil
}

func echoAnswer(t *wire.Try, status int, contentType string, length int64, content io.Reader) {
	r := &t.Response
	r.Status, r.Length = status, length
	r.Header.Add("content-type", contentType)
	r.Header.Add("content-length", strconv.FormatInt(length, 10))
	if status == 204 || status == 304 {
		r.Header.Del("content-length")
		r.Length = 0
		return
	}
	if t.X.Request.Method != "HEAD" && length > 0 {
		r.Body = &untilEnded{content, t.X.Life()}
	}
}

// untilEnded stops with the exchange, as a connection would.
type untilEnded struct {
	io.Reader
	life *exchange.Life
}

func (u *untilEnded) Read(p []byte) (int, error) {
	if cause := u.life.Cause(); cause != nil {
		return 0, cause
	}
	return u.Reader.Read(p)
}

// Close follows io.Closer.
func (u *untilEnded) Close() error { return nil }
