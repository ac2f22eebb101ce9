package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestFullDuplex has the origin send back each piece of a request before the
// next one is sent, so that the response is older than half of the request.
func TestFullDuplex(t *testing.T) {
	h, conns := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for buf := make([]byte, 100); ; {
				n, err := r.Body.Read(buf)
				if n > 0 {
					c.say("%x\r\n%s\r\n", n, buf[:n])
				}
				if err != nil {
					break
				}
			}
			c.say("0\r\nX-Sum: %s\r\n\r\n", r.Trailer.Get("X-Sum"))
		}
	})
	for _, w := range []wire{h1, h1Secure} {
		c := h.dial(t, w)
		for range 3 {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				piece := fmt.Sprintf("piece %d.", i)
				c.send(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
				expect(t, resp.Body, piece)
			}
			c.send("0\r\nX-Sum: 20\r\n\r\n")
			if rest := all(t, resp.Body); rest != "" || resp.Trailer.Get("X-Sum") != "20" {
				t.Errorf("%s: at the end got %q, trailer %v", w.name, rest, resp.Trailer)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("the origin got %d connections, want 1", n)
	}
}

// inFlightBytes is how much of a body may have left one end and not reached
// the other: the buffers of kernel and host, on two connections.
const inFlightBytes = 24 << 20

// stalls waits until count is more than nothing and no longer grows.
func stalls(t *testing.T, count *atomic.Int64, what string) {
	t.Helper()
	last, same := int64(-1), 0
	hosttest.Eventually(t, func() bool {
		now := count.Load()
		if same++; now != last || now == 0 {
			same = 0
		}
		last = now
		return same > 8
	}, what)
}

// TestSlowReaders do not make the host take in what they do not take.
func TestSlowReaders(t *testing.T) {
	const length = 1 << 30
	var sent atomic.Int64
	gone := make(chan struct{}, 2)
	h, _ := startBefore(t, func(c *raw) {
		if _, ok := c.request(); !ok {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
		for piece := make([]byte, 64<<10); ; {
			n, err := c.Conn.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				gone <- struct{}{}
				return
			}
		}
	})
	for _, w := range []wire{h1, h1Secure} {
		before := heap()
		sent.Store(0)
		c := h.dial(t, w)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.head()
		stalls(t, &sent, "the origin can send no more")
		if n := sent.Load(); n > inFlightBytes {
			t.Errorf("%s: the origin sent %d MiB that nobody reads", w.name, n>>20)
		}
		wantFlat(t, before, heap())
		c.Close()
		within(t, gone, "the origin's connection ends with the client's")
	}
}

// TestSlowOrigins do not make the host take in what they do not take.
func TestSlowOrigins(t *testing.T) {
	release := make(chan struct{})
	h, _ := startBefore(t, func(c *raw) {
		r, ok := c.request()
		if !ok {
			return
		}
		<-release
		n, _ := io.Copy(io.Discard, r.Body)
		body := strconv.FormatInt(n, 10)
		c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	const length = 256 << 20
	before := heap()
	c := h.dial(t, h1)
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length))
	var sent atomic.Int64
	go func() {
		piece := make([]byte, 64<<10)
		for range length / len(piece) {
			n, err := c.Conn.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	stalls(t, &sent, "the client can send no more")
	if n := sent.Load(); n > inFlightBytes {
		t.Errorf("the client sent %d MiB that nobody reads", n>>20)
	}
	wantFlat(t, before, heap())
	close(release)
	if resp, body := c.response("POST"); resp.StatusCode != 200 || body != strconv.Itoa(length) {
		t.Errorf("got status %d and %q", resp.StatusCode, body)
	}
}

// TestBodiesArriveWhole moves random bytes both ways at once, in all framings.
func TestBodiesArriveWhole(t *testing.T) {
	ca := hosttest.NewCA(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		if r.Header.Get("X-Length") != "" {
			w.Header().Set("Content-Length", r.Header.Get("X-Length"))
		}
		io.Copy(w, r.Body)
	})
	simple := hosttest.Serve(t, echo)
	secure := hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}}, echo)
	trust := fmt.Sprintf("tls.ca = %q", ca.WriteCA(t, t.TempDir()))
	for name, h := range map[string]*host{
		"plain":       startBoth(t, simple.URL, ""),
		"TLS":         startBoth(t, secure.URL, "protocol = \"h1\"\n"+trust),
		"TLS, HTTP/2": startBoth(t, secure.URL, trust),
	} {
		for _, w := range wires {
			c := h.client(t, w)
			var clients sync.WaitGroup
			for i, size := range []int64{1, 4095, 4096, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
				for _, known := range []bool{true, false} {
					clients.Go(func() {
						if err := moveBody(t, c, byte(i), size, known); err != nil {
							t.Errorf("%s to %s: %d bytes, length known: %v: %v", w.name, name, size, known, err)
						}
					})
				}
			}
			clients.Wait()
		}
	}
}

// moveBody sends random bytes and wants them back.
func moveBody(t *testing.T, c *client, seed byte, size int64, known bool) error {
	sum := sha256.New()
	body := io.TeeReader(noise(seed, size), sum)
	r := c.request(t, "POST", "/", io.NopCloser(body))
	if r.ContentLength = -1; known {
		r.ContentLength = size
		r.Header.Set("X-Length", strconv.FormatInt(size, 10))
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	back := sha256.New()
	n, err := io.Copy(back, resp.Body)
	if err != nil {
		return err
	}
	if n != size || !bytes.Equal(back.Sum(nil), sum.Sum(nil)) || known && resp.ContentLength != size {
		return fmt.Errorf("got %d bytes, announced as %d, or others", n, resp.ContentLength)
	}
	return nil
}

// noise is as many random bytes, the same ones for each seed.
func noise(seed byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
}

// TestTunnelsMoveMuch fills a tunnel from both ends at once.
func TestTunnelsMoveMuch(t *testing.T) {
	const size = 8 << 20
	h, o, c := proxied(t)
	near, far := tunnel(t, &passage{h, o, plain, c})
	var ends sync.WaitGroup
	pour := func(seed byte, w io.Writer, done func()) {
		ends.Go(func() {
			if _, err := io.Copy(w, noise(seed, size)); err != nil {
				t.Error(err)
			}
			done()
		})
	}
	drain := func(seed byte, r io.Reader) {
		ends.Go(func() {
			got, want := sha256.New(), sha256.New()
			n, err := io.Copy(got, r)
			io.Copy(want, noise(seed, size))
			if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("got %d bytes of %d, or others, %v", n, size, err)
			}
		})
	}
	pour(1, near.Conn, near.closeWrite)
	pour(2, far.WriteCloser, func() { far.closeWrite(t) })
	drain(1, far)
	drain(2, near)
	ends.Wait()
}

// TestEventsArriveOneByOne, whatever the origin frames them with, and before
// anything comes behind them.
func TestEventsArriveOneByOne(t *testing.T) {
	const events = 10
	next := make(chan string)
	h, _ := startBefore(t, func(c *raw) {
		r, ok := c.request()
		if !ok {
			return
		}
		head, frame, last := "Transfer-Encoding: chunked", "8\r\n%s\r\n", "0\r\n\r\n"
		switch r.URL.Path {
		case "/length":
			head, frame, last = fmt.Sprintf("Content-Length: %d", 8*events), "%s", ""
		case "/close":
			head, frame, last = "X: y", "%s", ""
		}
		c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n%s\r\n\r\n", head)
		for range events {
			c.say(frame, <-next)
		}
		c.say("%s", last)
	})
	for _, w := range []wire{h1, h1Secure, h2c, h2Secure} {
		for _, target := range []string{"/chunked", "/length", "/close"} {
			c := h.client(t, w)
			resp := c.do(t, c.request(t, "GET", target, nil))
			for i := range events {
				event := fmt.Sprintf("event %d\n", i)
				next <- event
				expect(t, resp.Body, event)
			}
			if rest := all(t, resp.Body); rest != "" || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%s, %s: at the end got %q", w.name, target, rest)
			}
		}
	}
}

// TestMuchIsStreamed through a host that is never asked to hold it: far more
// than its memory would be if it did.
func TestMuchIsStreamed(t *testing.T) {
	const length = 1 << 30
	h, _ := startBefore(t, func(c *raw) {
		if _, ok := c.request(); !ok {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
		io.CopyN(c.Conn, hosttest.Zeros{}, length)
	})
	before := heap()
	c := h.dial(t, h1)
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	c.head()
	if _, err := io.CopyN(io.Discard, c.r, length/2); err != nil {
		t.Fatal(err)
	}
	wantFlat(t, before, heap())
	if rest, err := io.Copy(io.Discard, c.r); rest != length/2 || err != nil {
		t.Errorf("got %d more bytes, %v, want %d", rest, err, length/2)
	}
}

// TestUploadsStream to an origin that has the first part before the second is sent.
func TestUploadsStream(t *testing.T) {
	parts := make(chan string)
	h, _ := startBefore(t, func(c *raw) {
		for {
			r, ok := c.request()
			if !ok {
				return
			}
			for buf := make([]byte, 4); ; {
				n, err := io.ReadFull(r.Body, buf)
				if n > 0 {
					parts <- string(buf[:n])
				}
				if err != nil {
					break
				}
			}
			c.say("HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	for _, w := range []wire{h1, h1Secure} {
		c := h.dial(t, w)
		for _, frame := range []struct{ head, part, end string }{
			{"Content-Length: 20", "%s", ""}, {"Transfer-Encoding: chunked", "4\r\n%s\r\n", "0\r\n\r\n"},
		} {
			c.send("POST / HTTP/1.1\r\nHost: a\r\n" + frame.head + "\r\n\r\n")
			for i := range 5 {
				part := fmt.Sprintf("p%03d", i)
				c.send(strings.ReplaceAll(frame.part, "%s", part))
				if got := within(t, parts, "a part arrives"); got != part {
					t.Errorf("%s, %s: the origin got %q, want %q", w.name, frame.head, got, part)
				}
			}
			c.send(frame.end)
			if resp, _ := c.response("POST"); resp.StatusCode != 204 {
				t.Errorf("%s, %s: got status %d", w.name, frame.head, resp.StatusCode)
			}
		}
	}
}
