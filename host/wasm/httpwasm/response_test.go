package httpwasm

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

func TestAnswers(t *testing.T) {
	stop := do("result", 0)
	cases := []struct {
		what   string
		steps  []step
		method string
		status int
		body   string
		length int64
	}{
		{"as it is", []step{stop}, "GET", 200, "", 0},
		{"status", []step{do("set_status_code", 403), stop}, "GET", 403, "", 0},
		{"body", []step{do("set_status_code", 401), do("write_body", responseBody, "no "), do("write_body", responseBody, "entry"), stop}, "GET", 401, "no entry", 8},
		{"to HEAD", []step{do("write_body", responseBody, "text"), stop}, "HEAD", 200, "", 4},
		{"without content", []step{do("set_status_code", 204), do("write_body", responseBody, "text"), stop}, "GET", 204, "", 0},
		{"the upper half of the result does not count", []step{do("result", 0, 7)}, "GET", 200, "", 0},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			x.Request.Method = tc.method
			c := carry(t, script{
				request:  append([]step{do("set_header_value", responseFields, "x-policy", "1")}, tc.steps...),
				response: []step{do("trap")},
			}, x)
			c.request(policy.Answer)
			body := ""
			if x.Response.Body != nil {
				body = readAll(t, x.Response.Body)
			}
			if x.Response.Status != tc.status || body != tc.body || x.Response.Length != tc.length {
				t.Errorf("got %d, %q, length %d, want %d, %q, %d", x.Response.Status, body, x.Response.Length, tc.status, tc.body, tc.length)
			}
			if got, want := fieldsText(&x.Response.Header), "x-policy:1"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if err := c.policy.OnResponseHead(c.session, x); err != nil {
				t.Errorf("the guest that answered is asked about its answer: %v", err)
			}
		})
	}
}

// What a guest wrote for an answer and then did not answer goes before the
// upstream's body, as the conformance kit has it; its status has no effect.
func TestBodyBeforeTheUpstreams(t *testing.T) {
	write := do("write_body", responseBody, "early ")
	cases := []struct {
		what, method string
		status       int
		request      []step
		body         string
		length       int64
	}{
		{"streamed", "GET", 200, nil, "early text", 10},
		{"held", "GET", 200, []step{do("enable_features", 2)}, "early text", 10},
		{"to HEAD", "HEAD", 200, nil, "", 10},
		{"without content", "GET", 204, nil, "", 4},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			x.Request.Method = tc.method
			c := carry(t, script{request: append(tc.request, do("set_status_code", 403), do("get_status_code"), write)}, x)
			c.request(policy.Continue)
			if got := c.result(len(tc.request) + 1); got != 403 {
				t.Errorf("the guest reads status %d, want 403", got)
			}
			answered(x, tc.status, "text")
			if tc.body == "" {
				x.Response.Body = nil
			}
			c.response()
			body := ""
			if x.Response.Body != nil {
				body = readAll(t, x.Response.Body)
			}
			if body != tc.body || x.Response.Status != tc.status || x.Response.Length != tc.length {
				t.Errorf("got %d %q of length %d, want %d %q, %d", x.Response.Status, body, x.Response.Length, tc.status, tc.body, tc.length)
			}
		})
	}
}

func TestBufferedResponse(t *testing.T) {
	hold := do("enable_features", 2)
	cases := []struct {
		what     string
		response []step
		method   string
		status   int
		body     string
		length   string // what content-length tells
	}{
		{"read", []step{do("read_all", responseBody, out(0), 3)}, "GET", 200, "old text", "8"},
		{"written", []step{do("write_body", responseBody, "new")}, "GET", 200, "new", "3"},
		{"piece by piece", []step{do("echo", responseBody, out(0), 3, responseBody)}, "GET", 200, "old text", "8"},
		{"emptied", []step{do("write_body", responseBody, "")}, "GET", 200, "", "0"},
		{"status", []step{do("set_status_code", 404), do("get_status_code")}, "GET", 404, "old text", "8"},
		{"status without content", []step{do("set_status_code", 304)}, "GET", 304, "", "0"},
		{"written to HEAD", []step{do("write_body", responseBody, "new")}, "HEAD", 200, "", "3"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			x.Request.Method = tc.method
			c := carry(t, script{request: []step{hold}, response: tc.response}, x)
			c.request(policy.Continue)
			answered(x, 200, "old text")
			x.Response.Header.Add("Content-Length", "8")
			c.response()
			body := ""
			if x.Response.Body != nil {
				body = readAll(t, x.Response.Body)
			}
			if body != tc.body || x.Response.Status != tc.status {
				t.Errorf("got %d %q, want %d %q", x.Response.Status, body, tc.status, tc.body)
			}
			if got := x.Response.Header.Value("content-length"); got != tc.length {
				t.Errorf("content-length %s, want %s", got, tc.length)
			}
		})
	}
}

func TestBufferedResponseOverItsBound(t *testing.T) {
	x := newExchange()
	c := carry(t, script{request: []step{do("enable_features", 2)}, response: []step{do("trap")}}, x)
	c.request(policy.Continue)
	text := strings.Repeat("x", 1<<20+1)
	answered(x, 200, text)
	x.Response.Length = exchange.UnknownLength
	err := c.policy.OnResponseHead(c.session, x)
	if !errors.Is(err, exchange.ErrBodyTooLarge) {
		t.Fatalf("%v, want %v", err, exchange.ErrBodyTooLarge)
	}
	if got := readAll(t, x.Response.Body); got != text {
		t.Errorf("%d bytes are left of %d", len(got), len(text))
	}
}

func TestBrokenResponse(t *testing.T) {
	x := newExchange()
	c := carry(t, script{request: []step{do("enable_features", 2)}}, x)
	c.request(policy.Continue)
	answered(x, 200, "")
	x.Response.Body, x.Response.Length = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)), 10
	err := c.policy.OnResponseHead(c.session, x)
	var broken *exchange.BodyError
	if !errors.As(err, &broken) || !broken.Response {
		t.Errorf("%v, want a broken response body", err)
	}
}

// A response that may never end passes, and what the guest writes is dropped
// with a word in the log.
func TestEndlessResponses(t *testing.T) {
	cases := []struct {
		what, contentType string
		status            int
		statusAfter       int
	}{
		{"an upgrade", "", 101, 101},
		{"server-sent events", "text/event-stream; charset=utf-8", 200, 418},
		{"gRPC", "application/grpc+proto", 200, 418},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			var log bytes.Buffer
			s := script{
				request: []step{do("enable_features", 2)},
				response: []step{
					do("read_body", responseBody, out(1), 8),
					do("write_body", responseBody, "new"),
					do("set_status_code", 418),
					do("set_header_value", responseFields, "x-policy", "1"),
				},
			}
			spec := specOf(s)
			spec.Log = logTo(&log)
			x := newExchange()
			c := carryWith(t, loadSpec(t, openEngine(t), spec), s, x)
			c.request(policy.Continue)
			endless := io.NopCloser(iotest.ErrReader(errors.New("it was read")))
			x.Response = exchange.Response{Status: tc.status, Body: endless, Length: exchange.UnknownLength}
			x.Response.Header.Add("content-type", tc.contentType)
			c.response()
			if got := c.result(1); got != 1<<32 {
				t.Errorf("the guest reads %x, want the end and no byte", got)
			}
			if x.Response.Body != endless || x.Response.Length != exchange.UnknownLength {
				t.Error("the body was touched")
			}
			if x.Response.Status != tc.statusAfter {
				t.Errorf("status %d, want %d", x.Response.Status, tc.statusAfter)
			}
			if got := x.Response.Header.Value("x-policy"); got != "1" {
				t.Error("the changes to fields are lost")
			}
			if !strings.Contains(log.String(), "dropped") {
				t.Errorf("the log says nothing of what was dropped: %s", log.String())
			}
		})
	}
}

func TestFailurePhase(t *testing.T) {
	cases := []struct {
		what    string
		steps   []step
		verdict policy.Verdict
		status  int
		body    string
	}{
		{"fields only", nil, policy.Continue, 502, "502 Bad Gateway\n"},
		{"status", []step{do("set_status_code", 200)}, policy.Answer, 200, "502 Bad Gateway\n"},
		{"body", []step{do("write_body", responseBody, "stale")}, policy.Answer, 502, "stale"},
		{"both, after a look", []step{do("read_all", responseBody, out(0), 8), do("set_status_code", 200), do("write_body", responseBody, "stale")}, policy.Answer, 200, "stale"},
	}
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			x := newExchange()
			c := carry(t, script{
				request:  []step{do("set_header_value", responseFields, "x-early", "1"), do("result", 1, 9)},
				response: append(tc.steps, do("set_header_value", responseFields, "x-policy", "1")),
			}, x)
			c.request(policy.Continue)
			x.Fail(&exchange.Failure{Cause: exchange.CauseRefused, Status: 502})
			verdict, err := c.policy.OnFailure(c.session, x)
			if err != nil {
				t.Fatal(err)
			}
			if verdict != tc.verdict || x.Response.Status != tc.status {
				t.Errorf("verdict %d, status %d, want %d, %d", verdict, x.Response.Status, tc.verdict, tc.status)
			}
			if got := readAll(t, x.Response.Body); got != tc.body || x.Response.Length != int64(len(got)) {
				t.Errorf("body %q of length %d, want %q", got, x.Response.Length, tc.body)
			}
			if !x.Response.Header.Has("x-policy") || !x.Response.Header.Has("x-early") {
				t.Errorf("fields are lost: %s", fieldsText(&x.Response.Header))
			}
			if got := c.memory(4080, 8); got[0] != 9 || got[4] != 1 {
				t.Errorf("handle_response got ctx and is_error %x, want 9 and 1", got)
			}
			if again, err := c.policy.OnFailure(c.session, x); again != policy.Continue || err != nil {
				t.Errorf("a second failure: %d, %v, want nothing", again, err)
			}
		})
	}
}
