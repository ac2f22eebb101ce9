package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// A slow endpoint: the head comes in time, the body takes longer than all
// timeouts together.
func TestTimeoutsEndWithTheHead(t *testing.T) {
	const timeout = 100 * time.Millisecond
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", multi), func(t *testing.T) {
			release := make(chan struct{})
			s := plain(t, multi, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				<-release
				io.WriteString(w, "late")
			})
			up := settings(s.URL)
			up.Timeout = manifest.Duration(timeout)
			up.TryTimeout = manifest.Duration(timeout / 2)
			if multi {
				up.Protocol = "h2"
			}
			set := build(t, registry(t), up)
			x := ask("GET", "/", "")
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			time.AfterFunc(3*timeout, func() { close(release) })
			if got := read(t, x); got != "late" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestTryTimeoutGoesToAnotherEndpoint(t *testing.T) {
	slow := raw(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	fast := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fast") })
	up := settings(slow, fast.URL)
	up.TryTimeout = manifest.Duration(50 * time.Millisecond)
	set := build(t, registry(t), up)
	for range 4 {
		if _, body := get(t, set, "/"); body != "fast" {
			t.Errorf("got %q", body)
		}
	}
}

func TestClientGoneCancelsTheRequest(t *testing.T) {
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", multi), func(t *testing.T) {
			arrived, gone := make(chan struct{}), make(chan struct{})
			s := plain(t, multi, func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-r.Context().Done()
				close(gone)
			})
			up := settings(s.URL)
			if multi {
				up.Protocol = "h2"
			}
			set := build(t, registry(t), up)
			x := ask("GET", "/", "")
			ctx, cancel := context.WithCancel(context.Background())
			x.SetContext(ctx)
			go func() {
				<-arrived
				cancel()
			}()
			f := set.Forward(x, "up")
			if f == nil || f.Cause != exchange.CauseClient || f.Status != 499 {
				t.Errorf("got %v, want the client's fault", f)
			}
			<-gone
			if s := set.registry.Status()[0]; s.Failed != 0 || s.InFlight != 0 {
				t.Errorf("got %+v: the endpoint was blamed, or counts leak", s)
			}
		})
	}
}

// The client goes away while the body streams.
func TestClientGoneWhileStreaming(t *testing.T) {
	gone := make(chan struct{})
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	set := build(t, registry(t), settings(s.URL))
	x := ask("GET", "/", "")
	ctx, cancel := context.WithCancel(context.Background())
	x.SetContext(ctx)
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	cancel()
	if _, err := x.Response.Body.Read(make([]byte, 1)); err == nil {
		t.Error("read went on")
	}
	<-gone
}

func TestDeadlineOfTheExchange(t *testing.T) {
	url := raw(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	x.SetContext(ctx)
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseTimeout || f.Status != 504 {
		t.Errorf("got %v, want a timeout", f)
	}
}

func TestRouteTimeout(t *testing.T) {
	url := raw(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	x.Route.Timeout = 50 * time.Millisecond
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseTimeout {
		t.Errorf("got %v, want a timeout", f)
	}
}

// The endpoint breaks, or the time is over, while the client keeps us waiting for
// its body: that must be noticed without the client's help. An endpoint that may
// not have heard the whole question is not to blame for the time.
func TestFaultWhileClientStalls(t *testing.T) {
	cases := map[string]struct {
		handle func(net.Conn, int)
		cause  exchange.Cause
	}{
		"resets":        {func(c net.Conn, _ int) { head(c); reset(c) }, exchange.CauseReset},
		"never answers": {func(c net.Conn, _ int) { io.Copy(io.Discard, c) }, exchange.CauseClient},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			up := settings(raw(t, test.handle))
			up.Timeout = manifest.Duration(300 * time.Millisecond)
			set := build(t, registry(t), up)
			x := ask("POST", "/", "")
			reader, writer := io.Pipe()
			defer writer.Close()
			go writer.Write([]byte("a first part"))
			x.Request.Body, x.Request.Length = reader, 1000
			f := set.Forward(x, "up")
			if f == nil || f.Cause != test.cause {
				t.Errorf("got %v, want cause %s", f, test.cause)
			}
		})
	}
}

// An endpoint may answer before it has the whole request.
func TestEarlyAnswer(t *testing.T) {
	url := raw(t, func(c net.Conn, _ int) {
		head(c)
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
		io.Copy(io.Discard, c)
	})
	set := build(t, registry(t), settings(url))
	x := ask("POST", "/", "")
	reader, writer := io.Pipe()
	defer writer.Close()
	go writer.Write([]byte("a first part"))
	x.Request.Body, x.Request.Length = reader, exchange.UnknownLength
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if got := read(t, x); x.Response.Status != 413 || got != "big" {
		t.Errorf("got %d %q", x.Response.Status, got)
	}
}

func TestNothingIsReadOfTheClientAfterTheEnd(t *testing.T) {
	url := raw(t, func(c net.Conn, _ int) {
		head(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		io.Copy(io.Discard, c)
	})
	set := build(t, registry(t), settings(url))
	x := ask("POST", "/", "")
	reads := &countedReader{}
	x.Request.Body, x.Request.Length = reads, exchange.UnknownLength
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	read(t, x)
	eventually(t, "end of the read that was under way", func() bool { return reads.active.Load() == 0 })
	reads.ended.Store(true)
	get(t, set, "/")
	if reads.late.Load() {
		t.Error("the client's body was read after the exchange")
	}
}

// countedReader is an endless body that notices when it is read too late.
type countedReader struct {
	active      atomic.Int32
	ended, late atomic.Bool
}

func (r *countedReader) Read(p []byte) (int, error) {
	r.active.Add(1)
	defer r.active.Add(-1)
	if r.ended.Load() {
		r.late.Store(true)
	}
	time.Sleep(time.Millisecond)
	return copy(p, "x"), nil
}

func (*countedReader) Close() error { return nil }
