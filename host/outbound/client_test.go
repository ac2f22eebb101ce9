package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// open makes a client that may call origins on loopback.
func open(t testing.TB, change func(*Config), origins ...string) *Client {
	t.Helper()
	return openWith(t, change, Options{}, origins...)
}

func openWith(t testing.TB, change func(*Config), options Options, origins ...string) *Client {
	t.Helper()
	config := Config{
		Policy: "p", Hosts: origins, Methods: []string{"GET", "HEAD", "POST"}, Internal: loopback,
		RequestBytes: 1 << 20, ResponseBytes: 1 << 20, Timeout: 10 * time.Second, Concurrent: 8,
	}
	if change != nil {
		change(&config)
	}
	c := New(config, options)
	t.Cleanup(func() { c.Close() })
	return c
}

func fields(pairs ...string) (h exchange.Header) {
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func do(t *testing.T, c *Client, r *Request) *Response {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// fails makes a call that must fail in a certain way.
func fails(t *testing.T, c *Client, r *Request, want Kind) *Error {
	t.Helper()
	_, err := c.Do(t.Context(), r)
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind != want {
		t.Fatalf("got %v, want kind %s", err, want)
	}
	return failure
}

func TestDo(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := open(t, nil, backend.URL)
	resp := do(t, c, &Request{
		Method: "POST", URL: backend.URL + "/a%2Fb?c=d&X-Reply=e", Body: []byte("body"), Authority: "elsewhere.example",
		Header: fields("X-One", "1", "X-One", "2", "Connection", "x-hop", "X-Hop", "h", "Host", "evil", "Content-Length", "1",
			"Transfer-Encoding", "chunked", "Expect", "100-continue", "TE", "trailers"),
	})
	if got, want := resp.Header.Value("x-reply"), "e"; resp.Status != 200 || got != want {
		t.Errorf("got status %d and %q, want 200 and %q", resp.Status, got, want)
	}
	seen := hosttest.Decode(t, bytes.NewReader(resp.Body))
	if seen.Method != "POST" || seen.Target != "/a%2Fb?c=d&X-Reply=e" || seen.Host != backend.Addr || seen.Body != "body" || seen.Length != 4 {
		t.Errorf("the backend saw %+v", seen)
	}
	want := http.Header{"X-One": {"1", "2"}, "Content-Length": {"4"}}
	if got := fmt.Sprint(seen.Header); got != fmt.Sprint(want) {
		t.Errorf("the backend saw fields %s, want %v", got, want)
	}
}

func TestHeadAndEmptyBodies(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(204 - 4)
		io.WriteString(w, "hello")
	}))
	c := open(t, nil, backend.URL)
	if got := do(t, c, &Request{Method: "HEAD", URL: backend.URL}); len(got.Body) != 0 || got.Header.Value("content-length") != "5" {
		t.Errorf("HEAD: got %+v", got)
	}
	if got := do(t, c, &Request{Method: "GET", URL: backend.URL}); string(got.Body) != "hello" {
		t.Errorf("GET: got %q", got.Body)
	}
}

func TestTrailers(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Up"))
	}))
	c := open(t, nil, backend.URL)
	got := do(t, c, &Request{Method: "POST", URL: backend.URL, Body: []byte("b"), Trailer: fields("X-Up", "42")})
	if got.Trailer.Value("x-sum") != "42" || string(got.Body) != "b" {
		t.Errorf("got %+v", got)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	backend := hosttest.Serve(t, http.RedirectHandler("http://169.254.169.254/latest", http.StatusFound))
	c := open(t, nil, backend.URL)
	got := do(t, c, &Request{Method: "GET", URL: backend.URL})
	if got.Status != 302 || got.Header.Value("location") != "http://169.254.169.254/latest" {
		t.Errorf("got %+v", got)
	}
}

func TestEnvironmentNamesNoProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	c := open(t, nil)
	if c.secure.Proxy != nil || c.plain2.Proxy != nil {
		t.Error("a transport asks for a proxy")
	}
}

func TestTLS(t *testing.T) {
	ca := hosttest.NewCA(t)
	backend := hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}}, http.HandlerFunc(hosttest.Echo))
	trusting := open(t, func(c *Config) { c.CA = ca.WriteCA(t, t.TempDir()) }, backend.URL)
	seen := hosttest.Decode(t, bytes.NewReader(do(t, trusting, &Request{Method: "GET", URL: backend.URL}).Body))
	if seen.Proto != "HTTP/2.0" {
		t.Errorf("got %s, want HTTP/2.0", seen.Proto)
	}
	fails(t, open(t, nil, backend.URL), &Request{Method: "GET", URL: backend.URL}, Failed)
	noCA := open(t, func(c *Config) { c.CA = t.TempDir() + "/none.pem" }, backend.URL)
	fails(t, noCA, &Request{Method: "GET", URL: backend.URL}, Failed)
}

func TestBounds(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/body":
			w.Write(make([]byte, 101))
		case "/exact":
			w.Write(make([]byte, 100))
		case "/fields":
			w.Header().Set("X-Large", strings.Repeat("x", 2*maxFieldBytes))
		}
	}))
	c := open(t, func(c *Config) { c.RequestBytes, c.ResponseBytes = 10, 100 }, backend.URL)
	do(t, c, &Request{Method: "POST", URL: backend.URL + "/exact", Body: make([]byte, 10)})
	fails(t, c, &Request{Method: "POST", URL: backend.URL + "/exact", Body: make([]byte, 11)}, TooLarge)
	fails(t, c, &Request{Method: "GET", URL: backend.URL + "/body"}, TooLarge)
	fails(t, c, &Request{Method: "GET", URL: backend.URL + "/fields"}, Failed)
	fails(t, c, &Request{Method: "GET", URL: backend.URL, Header: fields("x", strings.Repeat("x", maxFieldBytes))}, TooLarge)
	for _, pair := range [][2]string{{"a b", ""}, {"", ""}, {":path", "/"}, {"x", "a\r\nb: c"}, {"x", "a\x00"}} {
		fails(t, c, &Request{Method: "GET", URL: backend.URL, Header: fields(pair[0], pair[1])}, BadRequest)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer close(release)
	c := open(t, nil, backend.URL)
	fails(t, c, &Request{Method: "GET", URL: backend.URL + "/head", Timeout: 20 * time.Millisecond}, TimedOut)
	fails(t, c, &Request{Method: "GET", URL: backend.URL + "/body", Timeout: 20 * time.Millisecond}, TimedOut)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Do(ctx, &Request{Method: "GET", URL: backend.URL + "/head"})
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind != TimedOut {
		t.Errorf("got %v, want kind %s", err, TimedOut)
	}
}

// held is a backend that keeps requests until it is told.
func held(t *testing.T) (url string, arrived chan struct{}, release chan struct{}) {
	arrived, release = make(chan struct{}, 64), make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	return backend.URL, arrived, release
}

func TestBusy(t *testing.T) {
	url, arrived, release := held(t)
	c := open(t, func(c *Config) { c.Concurrent = 2 }, url)
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() { do(t, c, &Request{Method: "GET", URL: url}) })
		<-arrived
	}
	fails(t, c, &Request{Method: "GET", URL: url}, Busy)
	close(release)
	calls.Wait()
	do(t, c, &Request{Method: "GET", URL: url})
}

func TestCloseEndsCalls(t *testing.T) {
	url, arrived, _ := held(t)
	c := open(t, nil, url)
	result := make(chan error, 1)
	go func() {
		_, err := c.Do(context.Background(), &Request{Method: "GET", URL: url})
		result <- err
	}()
	<-arrived
	c.Close()
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
	if failure := fails(t, c, &Request{Method: "GET", URL: url}, Failed); !errors.Is(failure, errClosed) {
		t.Errorf("got %v, want %v", failure, errClosed)
	}
}

// TestHammer makes and ends calls from many goroutines while the client closes.
// successes counts calls that ended well.
type successes struct {
	noMeter
	ended atomic.Int64
}

func (s *successes) End(_ time.Duration, failure *Error) {
	if failure == nil {
		s.ended.Add(1)
	}
}

// TestSend: a call for which nobody waits outlives its caller, is counted and bounded
// as others are, and ends with the client.
func TestSend(t *testing.T) {
	arrived, release := make(chan string, 8), make(chan struct{})
	gone := make(chan struct{}, 8)
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r.Method + " " + string(body)
		select {
		case <-release:
			w.Write(make([]byte, 1<<16)) // beyond the bound, which is no failure here
		case <-r.Context().Done():
			gone <- struct{}{}
		}
	}))
	meter := new(successes)
	c := openWith(t, func(config *Config) { config.Concurrent, config.ResponseBytes = 2, 1<<10 }, Options{Meter: meter}, backend.URL)
	ctx, cancel := context.WithCancel(t.Context())
	r := &Request{Method: "POST", URL: backend.URL, Body: []byte("b")}
	for range 2 {
		if err := c.Send(ctx, r); err != nil {
			t.Fatal(err)
		}
		if got := <-arrived; got != "POST b" {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	var failure *Error
	if err := c.Send(t.Context(), r); !errors.As(err, &failure) || failure.Kind != Busy {
		t.Errorf("a third of two: got %v, want Busy", err)
	}
	if err := c.Send(t.Context(), &Request{Method: "GET", URL: "http://other.example/"}); !errors.As(err, &failure) || failure.Kind != NotGranted {
		t.Errorf("another host: got %v, want NotGranted", err)
	}
	close(release)
	hosttest.Eventually(t, func() bool { return meter.ended.Load() == 2 }, "both have ended well, though their caller is gone")

	release = make(chan struct{})
	if err := c.Send(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-gone
}

func TestHammer(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	meter := new(counting)
	c := openWith(t, nil, Options{Meter: meter}, backend.URL)
	var calls sync.WaitGroup
	for i := range 16 {
		calls.Go(func() {
			for n := range 20 {
				if i == 0 && n == 10 {
					c.Close()
				}
				_, _ = c.Do(t.Context(), &Request{Method: "GET", URL: backend.URL})
			}
		})
	}
	calls.Wait()
	if meter.begun != 16*20 || meter.ended != meter.begun || len(c.places) != 0 {
		t.Errorf("%d calls began, %d ended, %d places are taken", meter.begun, meter.ended, len(c.places))
	}
}

type counting struct {
	mu           sync.Mutex
	begun, ended int
	failures     []Kind
	closed       bool
}

func (m *counting) Begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun++
}

func (m *counting) End(_ time.Duration, failure *Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended++
	if failure != nil {
		m.failures = append(m.failures, failure.Kind)
	}
}

func (m *counting) Close() { m.closed = true }

func TestMeter(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	meter := new(counting)
	c := openWith(t, nil, Options{Meter: meter}, backend.URL)
	do(t, c, &Request{Method: "GET", URL: backend.URL + "/?status=500"})
	fails(t, c, &Request{Method: "GET", URL: "http://other.example/"}, NotGranted)
	fails(t, c, &Request{Method: "GET", URL: "no"}, BadRequest)
	c.Close()
	if meter.begun != 3 || meter.ended != 3 || fmt.Sprint(meter.failures) != "[not_granted bad_request]" || !meter.closed {
		t.Errorf("got %+v", meter)
	}
}

// What would frame or route the request does not go behind it, and what is no
// field stops it before it is sent.
func TestTrailersAreLookedAt(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, values := range r.Trailer {
			fmt.Fprintf(w, "%s=%s;", name, values)
		}
	}))
	c := openWith(t, func(c *Config) { c.Upstreams = []string{"users"} },
		Options{Upstreams: realUpstreams(t, map[string]string{"users": backend.URL})}, backend.URL)
	for _, url := range []string{backend.URL, "upstream://users/"} {
		framing := fields("Content-Length", "9", "Transfer-Encoding", "chunked", "Host", "h", "Authorization", "a", "X-Up", "1")
		got := do(t, c, &Request{Method: "POST", URL: url, Body: []byte("b"), Trailer: framing})
		if string(got.Body) != "X-Up=[1];" {
			t.Errorf("%s: got the trailers %s", url, got.Body)
		}
		fails(t, c, &Request{Method: "POST", URL: url, Trailer: fields("x\r\nhost: evil", "1")}, BadRequest)
		fails(t, c, &Request{Method: "POST", URL: url, Trailer: fields("x", "1\r\nhost: evil")}, BadRequest)
		fails(t, c, &Request{Method: "POST", URL: url, Trailer: fields("x", strings.Repeat("v", maxFieldBytes))}, TooLarge)
	}
}
