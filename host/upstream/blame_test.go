package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// One client must not take endpoints out of service for everyone: what it broke
// itself is not held against them.

// quickToEject returns settings under which one failure ejects an endpoint.
func quickToEject(multi bool, url string) manifest.Upstream {
	up := settings(url)
	up.Outlier.Failures, up.Outlier.MaxEjected = 1, 100
	up.Retry.Attempts = 0
	if multi {
		up.Protocol = "h2"
	}
	return up
}

func wantUnblamed(t *testing.T, set *Set) {
	t.Helper()
	if s := set.registry.Status()[0]; s.Failed != 0 || !s.Ejected.IsZero() {
		t.Errorf("the endpoint is blamed: %d failures, ejected until %v", s.Failed, s.Ejected)
	}
}

func TestClientThatDribblesIsToBlame(t *testing.T) {
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", multi), func(t *testing.T) {
			s := plain(t, multi, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
			up := quickToEject(multi, s.URL)
			up.Timeout = manifest.Duration(100 * time.Millisecond)
			set := build(t, registry(t), up)
			x := ask("POST", "/", "")
			reader, writer := io.Pipe()
			x.Request.Body, x.Request.Length = reader, 100
			defer writer.Close()
			go writer.Write([]byte("a"))
			f := set.Forward(x, "up")
			if f == nil || f.Cause != exchange.CauseClient || f.Status != 408 {
				t.Errorf("got %+v, want the client's timeout", f)
			}
			wantUnblamed(t, set)
		})
	}
}

// An endpoint that does not take the body is late itself.
func TestEndpointThatTakesNoBodyIsToBlame(t *testing.T) {
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", multi), func(t *testing.T) {
			gone := make(chan struct{})
			s := plain(t, multi, func(http.ResponseWriter, *http.Request) { <-gone })
			t.Cleanup(func() { close(gone) })
			up := quickToEject(multi, s.URL)
			up.Timeout = manifest.Duration(100 * time.Millisecond)
			set := build(t, registry(t), up)
			x := ask("POST", "/", "")
			x.Request.Body, x.Request.Length = io.NopCloser(endless{}), exchange.UnknownLength
			if f := set.Forward(x, "up"); f == nil || f.Status != 504 {
				t.Errorf("got %+v, want 504", f)
			}
			if got := set.registry.Status()[0].Failed; got != 1 {
				t.Errorf("failures: got %d, want 1", got)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The response has begun when the request's body turns out to be broken.
func TestClientThatBreaksOffDuringTheResponseIsToBlame(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		control.Flush()
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", multi), func(t *testing.T) {
			set := build(t, registry(t), quickToEject(multi, plain(t, multi, handler).URL))
			x := ask("POST", "/", "")
			reader, writer := io.Pipe()
			x.Request.Body, x.Request.Length = reader, exchange.UnknownLength
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			writer.CloseWithError(&exchange.BodyError{Err: errors.New("malformed chunked encoding")})
			if _, err := io.ReadAll(x.Response.Body); err == nil {
				t.Error("the response to a broken request ended well")
			}
			x.Response.Body.Close()
			wantUnblamed(t, set)
		})
	}
}

// An HTTP/2 endpoint may take less of fields than a listener does.
func TestFieldsThatAnEndpointDoesNotTake(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.MaxHeaderBytes = 1 << 10
	s.Start()
	t.Cleanup(s.Close)
	set := build(t, registry(t), quickToEject(true, s.URL))
	get(t, set, "/") // its settings are known then
	x := ask("GET", "/", "")
	x.Request.Header.Add("x-much", strings.Repeat("x", 32<<10))
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseClient || f.Status != 431 {
		t.Errorf("got %+v, want 431", f)
	}
	wantUnblamed(t, set)
}

// refusing is an HTTP/2 endpoint that answers the first request and gives the
// others to refuse; it counts requests.
func refusing(t *testing.T, refuse func(c net.Conn, f *http2.Framer, stream uint32)) (url string, requests *atomic.Int32) {
	requests = new(atomic.Int32)
	url = raw(t, func(c net.Conn, _ int) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		framer := http2.NewFramer(c, c)
		framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			h, ok := frame.(*http2.HeadersFrame)
			switch {
			case !ok:
			case requests.Add(1) == 1:
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, EndHeaders: true, EndStream: true,
					BlockFragment: []byte{0x88}}) // ":status 200" of the static table
			default:
				refuse(c, framer, h.StreamID)
			}
		}
	})
	return url, requests
}

// An endpoint that refuses every stream is not asked without end: each try
// beyond the first counts against the budget of retries.
func TestRefusedStreamsAreNotSentWithoutEnd(t *testing.T) {
	url, requests := refusing(t, func(_ net.Conn, f *http2.Framer, stream uint32) {
		f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
	})
	up := quickToEject(true, url)
	up.Timeout = manifest.Duration(500 * time.Millisecond)
	up.Retry.Attempts = 2
	set := build(t, registry(t), up)
	get(t, set, "/")
	if f := set.Forward(ask("POST", "/", "x"), "up"); f == nil || f.Status != 502 {
		t.Errorf("got %+v, want 502", f)
	}
	if got := requests.Load(); got > 1+3 {
		t.Errorf("the endpoint was sent %d requests, want 4 at most", got)
	}
}

// What an endpoint says in words is no promise that it did not act on a request.
func TestWordsOfAnEndpointAreNoPromise(t *testing.T) {
	for _, words := range []string{"http2: client conn not usable", "graceful shutdown GOAWAY"} {
		url, requests := refusing(t, func(c net.Conn, f *http2.Framer, stream uint32) {
			f.WriteGoAway(stream, http2.ErrCodeInternal, []byte(words))
			c.Close()
		})
		up := settings(url)
		up.Protocol = "h2"
		up.Timeout = manifest.Duration(500 * time.Millisecond)
		set := build(t, registry(t), up)
		get(t, set, "/")
		if f := set.Forward(ask("POST", "/", "x"), "up"); f == nil {
			t.Error("got no failure")
		}
		if got := requests.Load(); got != 2 {
			t.Errorf("%s: the endpoint was sent %d requests, want 2", words, got)
		}
	}
}

// A client that does not read holds up a stream, not memory without end.
func TestUnreadBodyIsBounded(t *testing.T) {
	var sent atomic.Int64
	s := plain(t, true, func(w http.ResponseWriter, r *http.Request) {
		part := make([]byte, 64<<10)
		control := http.NewResponseController(w)
		for {
			if _, err := w.Write(part); err != nil || control.Flush() != nil {
				return
			}
			sent.Add(int64(len(part)))
		}
	})
	up := settings(s.URL)
	up.Protocol = "h2"
	set := build(t, registry(t), up)
	x := ask("GET", "/", "")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	defer x.Response.Body.Close()
	last, same := int64(-1), 0
	eventually(t, "end of what is sent ahead", func() bool {
		if now := sent.Load(); now == last && now > 0 {
			same++
		} else {
			last, same = now, 0
		}
		return same > 100
	})
	if last > 1<<20 {
		t.Errorf("%d bytes were sent ahead of a reader that reads nothing", last)
	}
}
