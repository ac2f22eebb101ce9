package capability

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

//go:embed testdata/http.wasm
var httpModule []byte

// handleAt is where start writes its handle.
const handleAt = 60000

// newHTTPCaller makes a guest that may call some origins.
func newHTTPCaller(t testing.TB, origins ...string) *caller {
	t.Helper()
	return newHTTPCallerOf(t, 10*time.Second, origins...)
}

func newHTTPCallerOf(t testing.TB, callTime time.Duration, origins ...string) *caller {
	t.Helper()
	client := outbound.New(outbound.Config{
		Policy: "p", Hosts: append(origins, "http://169.254.169.254"), Methods: []string{"GET", "POST"},
		Internal:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RequestBytes: 100, ResponseBytes: 100, Timeout: 10 * time.Second, Concurrent: 64,
	}, outbound.Options{})
	options := wasm.Options{Capabilities: []wasm.HostModule{HTTP()}}
	c := newCallerOf(t, options, httpModule, wasm.InstanceConfig{CallTime: callTime, Granted: &policy.Granted{HTTP: client}})
	t.Cleanup(func() { client.Close() })
	return c
}

// begin starts a call and returns its handle.
func (c *caller) begin(want uint64, method, url, fields, body string, timeout int) int {
	c.t.Helper()
	c.want(want, "start", method, url, fields, body, timeout, handleAt)
	return int(binary.LittleEndian.Uint32([]byte(c.memory(handleAt, 4))))
}

// text reads what a getter writes.
func (c *caller) text(name string, args ...any) string {
	c.t.Helper()
	const at, limit = 30000, 20000
	n, err := c.call(name, append(args, at, limit)...)
	if err != nil || n > limit {
		c.t.Fatalf("%s: %d, %v", name, n, err)
	}
	return c.memory(at, uint32(n))
}

const forever = -1

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen", r.Header.Get("X-One"))
	w.Header().Set("Trailer", "X-Tail")
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	w.Header().Set("X-Tail", "t")
}

func TestCall(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(echo))
	c := newHTTPCaller(t, backend.URL)
	h := c.begin(ok, "POST", backend.URL+"/path", "X-One\x001\x00X-Two\x00", "body", 0)
	c.want(ok, "await", h, forever)
	c.want(418, "get_status", h)
	if got := c.text("get_fields", h, 0); !strings.Contains("\x00"+got, "\x00x-seen\x001\x00") {
		t.Errorf("got fields %q", got)
	}
	if got := c.text("get_fields", h, 1); got != "x-tail\x00t\x00" {
		t.Errorf("got trailers %q", got)
	}
	if got := c.text("get_fields", h, 2); got != "" {
		t.Errorf("got %q for a kind that is none", got)
	}
	const body = "POST /path body"
	c.want(uint64(len(body)), "get_body_length", h)
	if got := c.text("read_body", h, 0) + c.text("read_body", h, len(body)); got != body {
		t.Errorf("got body %q", got)
	}
	if got := c.text("read_body", h, 5); got != body[5:] {
		t.Errorf("got %q from 5 on", got)
	}
	c.want(4, "read_body", h, 0, 40000, 4)
	if got := c.memory(40000, 5); got != "POST\x00" {
		t.Errorf("a part of the body is %q", got)
	}
	c.want(0, "read_body", h, -1, 40000, 100)
	c.want(ok, "close", h)
	c.want(notFound, "close", h)
	c.want(notFound, "await", h, forever)
	c.want(0, "get_status", h)
	c.want(0, "get_body_length", h)
	if got := c.text("get_fields", h, 0); got != "" {
		t.Errorf("a closed call has fields %q", got)
	}
}

func TestCallsThatAreRefused(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 101)) }))
	c := newHTTPCaller(t, backend.URL)
	c.begin(notGranted, "GET", "http://other.example/", "", "", 0)
	c.begin(notGranted, "DELETE", backend.URL, "", "", 0)
	c.begin(notGranted, "GET", "upstream://origin/", "", "", 0)
	c.begin(refused, "GET", "http://169.254.169.254/latest/meta-data", "", "", 0)
	c.begin(badArgument, "GET", "not a URL", "", "", 0)
	c.begin(badArgument, "G T", backend.URL, "", "", 0)
	c.begin(badArgument, "GET", backend.URL, "", "", -1)
	c.begin(badArgument, "GET", backend.URL+"/"+strings.Repeat("x", maxURL), "", "", 0)
	c.begin(tooLarge, "POST", backend.URL, "", strings.Repeat("x", 101), 0)
	c.begin(badArgument, "GET", backend.URL, "no name\x00v\x00", "", 0)
	if open := len(callsOf(c.instance.Call()).open); open != 0 {
		t.Errorf("%d calls are open, want none", open)
	}
	h := c.begin(ok, "GET", backend.URL, "", "", 0)
	c.want(tooLarge, "await", h, forever)
	c.want(0, "get_status", h)
}

func TestCallWithoutAGrant(t *testing.T) {
	for _, granted := range []any{nil, new(policy.Granted)} {
		c := newCallerOf(t, wasm.Options{Capabilities: []wasm.HostModule{HTTP()}}, httpModule, wasm.InstanceConfig{CallTime: time.Second, Granted: granted})
		c.begin(notGranted, "GET", "http://127.0.0.1/", "", "", 0)
		c.want(notFound, "await", 1, forever)
	}
}

// heldBackend keeps requests until it is told, and tells of those that ended before.
func heldBackend(t *testing.T) (url string, arrived, gone chan struct{}, release chan struct{}) {
	arrived, gone, release = make(chan struct{}, 64), make(chan struct{}, 64), make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
			gone <- struct{}{}
		}
	}))
	return backend.URL, arrived, gone, release
}

func TestSeveralCalls(t *testing.T) {
	url, _, _, release := heldBackend(t)
	c := newHTTPCaller(t, url)
	var handles []int
	for range maxCalls {
		handles = append(handles, c.begin(ok, "GET", url, "", "", 0))
	}
	c.begin(busy, "GET", url, "", "", 0)
	c.want(pending, "await", handles[0], 0)
	c.want(pending, "await", handles[1], 5)
	c.want(0, "get_status", handles[2])
	c.want(ok, "close", handles[3])
	next := c.begin(ok, "GET", url, "", "", 0)
	for _, h := range handles {
		if h == next {
			t.Errorf("handle %d is given twice", next)
		}
	}
	close(release)
	for _, h := range append(handles[:3:3], next) {
		c.want(ok, "await", h, forever)
		c.want(200, "get_status", h)
	}
}

func TestCallTimeout(t *testing.T) {
	url, _, _, release := heldBackend(t)
	defer close(release)
	c := newHTTPCaller(t, url)
	c.want(timedOut, "await", c.begin(ok, "GET", url, "", "", 20), forever)
}

func TestCallEndsWithItsExchange(t *testing.T) {
	url, arrived, gone, release := heldBackend(t)
	defer close(release)
	c := newHTTPCaller(t, url)
	first := c.begin(ok, "GET", url, "", "", 0)
	<-arrived
	other := new(exchange.Exchange)
	c.instance.Call().Exchange = other
	second := c.begin(ok, "GET", url, "", "", 0)
	<-arrived
	c.instance.Call().Leave(c.x)
	<-gone
	c.want(notFound, "await", first, 0)
	c.want(pending, "await", second, 0)
	other.Life().End(context.Canceled)
	<-gone
	c.want(failed, "await", second, forever)
}

// A call that no exchange began, in a timer or at the start, may take longer than
// one that waits for it has.
func TestAwaitEndsWithTheExchangeThatWaits(t *testing.T) {
	url, arrived, _, release := heldBackend(t)
	defer close(release)
	c := newHTTPCaller(t, url)
	c.instance.Call().Exchange = nil
	h := c.begin(ok, "GET", url, "", "", 0)
	<-arrived
	c.instance.Call().Exchange = c.x
	go c.x.Life().End(context.Canceled)
	begun := time.Now()
	c.want(pending, "await", h, forever)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it waited for %v", took)
	}
}

func TestCallEndsWithItsInstance(t *testing.T) {
	url, arrived, gone, release := heldBackend(t)
	defer close(release)
	c := newHTTPCaller(t, url)
	c.begin(ok, "GET", url, "", "", 0)
	<-arrived
	if err := c.instance.Close(context.Background()); err != nil {
		t.Error(err)
	}
	<-gone
}

// TestClockWhileACallIsAwaited has a guest wait longer than its time: for an
// exchange it may, else it may not.
func TestClockWhileACallIsAwaited(t *testing.T) {
	const callTime = 100 * time.Millisecond
	url, _, _, release := heldBackend(t)
	defer close(release)
	c := newHTTPCallerOf(t, callTime, url)
	h := c.begin(ok, "GET", url, "", "", 0)
	c.want(pending, "await", h, int(2*callTime/time.Millisecond))
	c.instance.Call().Exchange = nil
	h = c.begin(ok, "GET", url, "", "", 0)
	if _, err := c.call("await", h, int(2*callTime/time.Millisecond)); !errors.Is(err, wasm.ErrTime) {
		t.Errorf("without an exchange: got %v, want %v", err, wasm.ErrTime)
	}
}

// A call that nobody waits for outlives its exchange and its instance.
func TestSend(t *testing.T) {
	seen := make(chan string, 1)
	release := make(chan struct{})
	backend := hosttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-release
		seen <- r.Method + " " + r.Header.Get("X-One") + " " + string(body)
	}))
	c := newHTTPCaller(t, backend.URL)
	c.want(ok, "send", "POST", backend.URL, "X-One\x001\x00", "body", 0)
	c.instance.Call().Leave(c.x)
	c.x.Life().End(context.Canceled)
	if err := c.instance.Close(context.Background()); err != nil {
		t.Error(err)
	}
	close(release)
	if got := <-seen; got != "POST 1 body" {
		t.Errorf("got %q", got)
	}
}

func TestSendsThatAreRefused(t *testing.T) {
	c := newHTTPCaller(t, "http://127.0.0.1:1")
	c.want(notGranted, "send", "GET", "http://other.example/", "", "", 0)
	c.want(refused, "send", "GET", "http://169.254.169.254/latest/meta-data", "", "", 0)
	c.want(badArgument, "send", "GET", "not a URL", "", "", 0)
	c.want(badArgument, "send", "GET", "http://127.0.0.1:1/", "", "", -1)
	c.want(tooLarge, "send", "POST", "http://127.0.0.1:1/", "", strings.Repeat("x", 101), 0)
	c = newCallerOf(t, wasm.Options{Capabilities: []wasm.HostModule{HTTP()}}, httpModule, wasm.InstanceConfig{CallTime: time.Second})
	c.want(notGranted, "send", "GET", "http://127.0.0.1:1/", "", "", 0)
}

// FuzzHTTP calls the functions with any arguments: a guest is trapped for its own
// memory alone, and nothing is called that was not granted.
func FuzzHTTP(f *testing.F) {
	f.Add(uint8(0), uint32(1024), uint32(3), uint32(1027), uint32(20), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(8), []byte("GEThttp://127.0.0.1:1/"))
	f.Add(uint8(0), uint32(1024), uint32(3), uint32(1027), uint32(20), uint32(1024), uint32(20), uint32(1024), uint32(9), uint32(100), uint32(1024), []byte("GEThttp://127.0.0.1:1/"))
	f.Add(uint8(0), uint32(1024), uint32(3), uint32(0xffffffff), uint32(0xffffffff), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(65533), []byte("GET"))
	f.Add(uint8(1), uint32(1), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), []byte{})
	f.Add(uint8(3), uint32(1), uint32(1), uint32(0xfffffff0), uint32(100), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), []byte{})
	f.Add(uint8(5), uint32(1), uint32(0xffffffff), uint32(65530), uint32(6), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), []byte{})
	f.Add(uint8(6), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0), []byte{})
	names := []struct {
		name   string
		params int
	}{
		{"start", 10}, {"await", 2}, {"get_status", 1}, {"get_fields", 4}, {"get_body_length", 1}, {"read_body", 4}, {"close", 1}, {"send", 9},
	}
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e, g, h, i, j, k uint32, memory []byte) {
		guest := newHTTPCaller(t, "http://127.0.0.1:1")
		guest.begin(ok, "GET", "http://127.0.0.1:1/", "", "", 1)
		guest.instance.Memory().Write(1024, memory[:min(len(memory), 32<<10)])
		function := names[int(which)%len(names)]
		stack := []uint64{uint64(a), uint64(b), uint64(c), uint64(d), uint64(e), uint64(g), uint64(h), uint64(i), uint64(j), uint64(k)}[:function.params]
		err := guest.instance.Invoke(guest.instance.Function(function.name), stack)
		if err != nil && (errors.As(err, new(runtime.Error)) || !strings.Contains(err.Error(), "outside of the guest's memory")) {
			t.Errorf("%s: %v", function.name, err)
		}
		if open := len(callsOf(guest.instance.Call()).open); open > 2 {
			t.Errorf("%d calls are open after one start more", open)
		}
	})
}
