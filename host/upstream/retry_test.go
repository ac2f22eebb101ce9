package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// breaking is an endpoint that takes a whole request and breaks the connection,
// n times; then it answers with the body it got.
func breaking(t testing.TB, n int) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if int(requests.Add(1)) <= n {
			panic(http.ErrAbortHandler)
		}
		w.Write(body)
	})
	return s.URL, requests
}

func TestRetryLaw(t *testing.T) {
	small, large := strings.Repeat("s", 1000), strings.Repeat("L", 100<<10)
	cases := []struct {
		name     string
		method   string
		body     string
		breaks   int
		change   func(*manifest.Upstream, *exchange.Exchange)
		requests int32
		fails    bool
	}{
		{name: "GET", method: "GET", breaks: 2, requests: 3},
		{name: "HEAD", method: "HEAD", breaks: 1, requests: 2},
		{name: "DELETE", method: "DELETE", breaks: 1, requests: 2},
		{name: "POST was sent", method: "POST", body: small, breaks: 1, requests: 1, fails: true},
		{name: "PATCH was sent", method: "PATCH", body: small, breaks: 1, requests: 1, fails: true},
		{name: "unknown method", method: "BREW", breaks: 1, requests: 1, fails: true},
		{name: "PUT with a kept body", method: "PUT", body: small, breaks: 2, requests: 3},
		{name: "PUT with a body that is too large to keep", method: "PUT", body: large, breaks: 1, requests: 1, fails: true},
		{name: "more failures than attempts", method: "GET", breaks: 5, requests: 3, fails: true},
		{name: "attempts = 0", method: "GET", breaks: 1, requests: 1, fails: true,
			change: func(up *manifest.Upstream, _ *exchange.Exchange) { up.Retry.Attempts = 0 }},
		{name: "a policy forbids it", method: "GET", breaks: 1, requests: 1, fails: true,
			change: func(_ *manifest.Upstream, x *exchange.Exchange) { x.Route.RetriesSet = true }},
		{name: "a policy asks for more", method: "GET", breaks: 4, requests: 5,
			change: func(_ *manifest.Upstream, x *exchange.Exchange) { x.Route.RetriesSet, x.Route.Retries = true, 4 }},
		{name: "budget is used up", method: "GET", breaks: 1, requests: 1, fails: true,
			change: func(up *manifest.Upstream, _ *exchange.Exchange) { up.Retry.MinRetries = 0 }},
		{name: "body that a policy holds in memory", method: "PUT", body: large, breaks: 2, requests: 3,
			change: func(_ *manifest.Upstream, x *exchange.Exchange) {
				x.Request.Body, _ = exchange.Buffer(x.Request.Body, 1<<20)
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			url, requests := breaking(t, c.breaks)
			up := settings(url)
			up.Outlier.Failures = 0
			x := ask(c.method, "/", c.body)
			if c.change != nil {
				c.change(&up, x)
			}
			set := build(t, registry(t), up)
			f := set.Forward(x, "up")
			if got := requests.Load(); got != c.requests {
				t.Errorf("got %d requests, want %d", got, c.requests)
			}
			switch {
			case c.fails != (f != nil):
				t.Errorf("got failure %v, want one: %v", f, c.fails)
			case f != nil && f.Cause != exchange.CauseReset:
				t.Errorf("got %v, want a reset", f)
			case f == nil && c.method != "HEAD":
				if got := read(t, x); got != c.body {
					t.Errorf("the answered try had a body of %d bytes, want %d", len(got), len(c.body))
				}
			}
		})
	}
}

// Nothing was sent if nobody listens: any method, and any body, goes elsewhere.
func TestRetryAfterNothingWasSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	url, requests := breaking(t, 0)
	up := settings("http://"+l.Addr().String(), url)
	up.Outlier.Failures = 0
	set := build(t, registry(t), up)
	large := strings.Repeat("L", 1<<20)
	for range 4 {
		x := ask("POST", "/", large)
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		if got := read(t, x); got != large {
			t.Errorf("got %d bytes, want %d", len(got), len(large))
		}
	}
	if got := requests.Load(); got != 4 {
		t.Errorf("got %d requests, want 4", got)
	}
}

func TestRetryPrefersAnotherEndpoint(t *testing.T) {
	bad, badRequests := breaking(t, 1000)
	good, _ := breaking(t, 0)
	up := settings(bad, good)
	up.Outlier.Failures = 0
	up.Retry.Attempts = 1
	for _, balance := range allBalancers {
		t.Run(balance, func(t *testing.T) {
			badRequests.Store(0)
			up.Balance = balance
			set := build(t, registry(t), up)
			for i := range 40 {
				x := ask("GET", "/", "")
				x.Route.HashKey = string(rune('a' + i))
				if f := set.Forward(x, "up"); f != nil {
					t.Fatal(f)
				}
				read(t, x)
			}
			if badRequests.Load() == 0 {
				t.Error("the bad endpoint was never asked; nothing was shown")
			}
		})
	}
}

func TestRetryOnStatus(t *testing.T) {
	requests := new(atomic.Int32)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if n := requests.Add(1); n <= 2 {
			w.WriteHeader(503)
		}
		io.WriteString(w, "body")
	})
	up := settings(s.URL)
	up.Retry.Status = []int{503}
	up.Outlier.Failures = 0
	set := build(t, registry(t), up)
	if status, _ := get(t, set, "/"); status != 200 {
		t.Errorf("got %d, want the third try's 200", status)
	}
	requests.Store(0)
	x := ask("POST", "/", "x")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if read(t, x); x.Response.Status != 503 || requests.Load() != 1 {
		t.Errorf("POST: got %d after %d requests, want its 503 passed on", x.Response.Status, requests.Load())
	}
	requests.Store(-10)
	if status, body := get(t, set, "/"); status != 503 || body != "body" {
		t.Errorf("tries used up: got %d %q, want the last answer", status, body)
	}
	if got := set.registry.Status()[0].InFlight; got != 0 {
		t.Errorf("in flight: got %d, want 0", got)
	}
}

// A 103 that the client has seen is a part of an answer.
func TestNoRetryAfterAnInformationalResponse(t *testing.T) {
	requests := new(atomic.Int32)
	url := raw(t, func(c net.Conn, _ int) {
		requests.Add(1)
		once("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")(c, 0)
	})
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	sink := &recorder{}
	x.Sink = sink
	if f := set.Forward(x, "up"); f == nil || requests.Load() != 1 || len(sink.informed) != 1 {
		t.Errorf("got %v after %d requests and %d hints, want a failure after one", f, requests.Load(), len(sink.informed))
	}
}

// recorder is a client's side that keeps informational responses.
type recorder struct{ informed []string }

func (r *recorder) Inform(status int, h *exchange.Header) error {
	r.informed = append(r.informed, exchange.StatusText(status)+h.Value("link"))
	return nil
}

func (r *recorder) Send(*exchange.Exchange) error { return nil }

// What the client did wrong is not tried again, nor held against the endpoint.
func TestBrokenClientBody(t *testing.T) {
	for _, method := range []string{"PUT", "POST"} {
		url, _ := breaking(t, 0)
		set := build(t, registry(t), settings(url))
		x := ask(method, "/", "")
		broken := errors.New("client broke off")
		x.Request.Body = io.NopCloser(io.MultiReader(strings.NewReader("part"), failing{broken}))
		x.Request.Length = exchange.UnknownLength
		f := set.Forward(x, "up")
		if f == nil || f.Cause != exchange.CauseClient || f.Status != 400 || !errors.Is(f, broken) {
			t.Errorf("%s: got %v, want the client's error", method, f)
		}
		if s := set.registry.Status()[0]; s.Failed != 0 || s.Requests != 1 {
			t.Errorf("%s: got %+v, want one try that nobody is blamed for", method, s)
		}
	}
}

// A client that the server gives up, because it was silent for too long, is still
// there to be told, although its context has ended with its body.
func TestSilentClientBody(t *testing.T) {
	url, _ := breaking(t, 0)
	set := build(t, registry(t), settings(url))
	x := ask("POST", "/", "")
	ctx, cancel := context.WithCancel(t.Context())
	x.SetContext(ctx)
	x.Request.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, &exchange.BodyError{Err: os.ErrDeadlineExceeded}
	}))
	x.Request.Length = exchange.UnknownLength
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseClient || f.Status != 408 {
		t.Errorf("got %v, want 408", f)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBackoffIsBounded(t *testing.T) {
	url := raw(t, func(c net.Conn, _ int) { head(c) })
	up := settings(url)
	up.Retry.Attempts, up.Retry.Backoff = 10, manifest.Duration(time.Hour)
	up.Timeout = manifest.Duration(100 * time.Millisecond)
	up.Outlier.Failures = 0
	set := build(t, registry(t), up)
	if f := set.Forward(ask("GET", "/", ""), "up"); f == nil {
		t.Error("got an answer from an endpoint that has none")
	}
}
