package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
)

// impatient are settings with a body timeout that tests can wait for.
func impatient() manifest.Listener {
	s := settings()
	s.Limits.BodyTimeout = manifest.Duration(200 * time.Millisecond)
	return s
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	read := make(chan struct{})
	addr := start(t, func(x *exchange.Exchange) {
		<-read
		body, _ := io.ReadAll(x.Request.Body)
		answer(x, 200, string(body))
	}, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("before the body is read: got %q, %v, want silence", b, err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	close(read)
	if got := c.head(); !slices.Equal(got, []string{"HTTP/1.1 100 Continue"}) {
		t.Fatalf("interim response: got %q", got)
	}
	c.send("hello")
	if resp, body := c.response("POST"); body != "hello" || resp.Close {
		t.Errorf("got %q, close %v, want hello on a connection that stays", body, resp.Close)
	}
}

func TestAnswerWithoutContinueClosesTheConnection(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 413, "no") }, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	resp, _ := c.response("POST")
	if resp.StatusCode != 413 || !resp.Close {
		t.Errorf("got %d, close %v, want 413 with Connection: close", resp.StatusCode, resp.Close)
	}
	c.closed()
}

func TestRequestTrailers(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		var b strings.Builder
		announced := x.Request.Trailer.Fields()
		fmt.Fprintf(&b, "announced %v", announced)
		io.Copy(io.Discard, x.Request.Body)
		fmt.Fprintf(&b, " got %v", x.Request.Trailer.Fields())
		answer(x, 200, b.String())
	}, settings())
	want := "announced [{X-A } {X-B }] got [{X-A 1} {X-B 2}]"
	bothVersions(t, func(t *testing.T, c *http.Client) {
		req, err := http.NewRequest("POST", "http://"+addr, io.MultiReader(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-A": {"1"}, "X-B": {"2"}}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != want {
			t.Errorf("trailers: got %s, want %s", got, want)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: x\r\nX-A: 1\r\n\r\n")
		if _, got := c.response("POST"); got != "announced [] got [{X-A 1}]" {
			t.Errorf("trailers: got %s", got)
		}
	})
}

// TestSmallRestIsDrained and the tests below it are about a response that is
// complete before its request.
func TestSmallRestIsDrained(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 403, "no") }, settings())
	c := dial(t, addr)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("a", 1000))
		if resp, body := c.response("POST"); resp.StatusCode != 403 || body != "no" || resp.Close {
			t.Fatalf("got %d %q, close %v, want 403 on a connection that stays", resp.StatusCode, body, resp.Close)
		}
	}
}

func TestSlowSmallRestIsWaitedForButNotLong(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 403, "no") }, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := c.response("POST"); resp.StatusCode != 403 {
		t.Fatalf("status: got %d, want 403", resp.StatusCode)
	}
	c.closed() // and the rest of the body is not taken for a request
}

func TestLargeRestClosesTheConnection(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 413, "no") }, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.CopyN(c.Conn, hosttest.Zeros{}, 1<<20) // goes on while the answer is on its way
	}()
	if resp, body := c.response("POST"); resp.StatusCode != 413 || body != "no" || !resp.Close {
		t.Errorf("got %d %q, close %v, want 413 with Connection: close", resp.StatusCode, body, resp.Close)
	}
	<-sent
}

func TestBrokenChunksAreNotTakenForARequest(t *testing.T) {
	requests := make(chan string, 10)
	addr := start(t, func(x *exchange.Exchange) {
		requests <- strings.Clone(x.Request.Target)
		if x.Request.Body != nil {
			if _, err := io.ReadAll(x.Request.Body); !errors.As(err, new(*exchange.BodyError)) {
				t.Errorf("read: got %v, want a BodyError", err)
			}
		}
		answer(x, 400, "no")
	}, settings())
	c := dial(t, addr)
	c.send("POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"zz\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := c.response("POST"); resp.StatusCode != 400 {
		t.Errorf("status: got %d, want 400", resp.StatusCode)
	}
	io.Copy(io.Discard, c.r)
	close(requests)
	for target := range requests {
		if target != "/first" {
			t.Errorf("a request for %s was let in", target)
		}
	}
}

// TestChunksThatBreakAfterTheHead is the same when it was too late to announce
// the end of the connection.
func TestChunksThatBreakAfterTheHead(t *testing.T) {
	requests := make(chan string, 10)
	addr := start(t, func(x *exchange.Exchange) {
		requests <- strings.Clone(x.Request.Target)
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = io.NopCloser(io.MultiReader(strings.NewReader("begun"), atEnd(func() {
			if x.Request.Body != nil {
				io.Copy(io.Discard, x.Request.Body)
			}
		})))
		x.Sink.Send(x)
	}, settings())
	c := dial(t, addr)
	c.send("POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"zz\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, body := c.response("POST"); body != "begun" {
		t.Errorf("body: got %q, want begun", body)
	}
	io.Copy(io.Discard, c.r)
	close(requests)
	for target := range requests {
		if target != "/first" {
			t.Errorf("a request for %s was let in", target)
		}
	}
}

func TestSilentClientIsGivenUp(t *testing.T) {
	failed := make(chan error, 2)
	addr := start(t, func(x *exchange.Exchange) {
		_, err := io.ReadAll(x.Request.Body)
		failed <- err
		answer(x, 408, "")
	}, impatient())
	check := func(t *testing.T) {
		t.Helper()
		select {
		case err := <-failed:
			if !errors.As(err, new(*exchange.BodyError)) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: got %v, want a BodyError for a deadline", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the read does not end")
		}
	}
	t.Run("h1", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
		check(t)
		if resp, _ := c.response("POST"); resp.StatusCode != 408 {
			t.Errorf("status: got %d, want 408", resp.StatusCode)
		}
		c.closed()
	})
	t.Run("h2", func(t *testing.T) {
		c := dialH2(t, addr)
		c.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/")
		check(t)
		if got := c.status(1); got != "408" {
			t.Errorf("status: got %s, want 408", got)
		}
	})
}

func TestBodyIsReadWithinTheContext(t *testing.T) {
	failed := make(chan error, 2)
	addr := start(t, func(x *exchange.Exchange) {
		ctx, cancel := context.WithTimeout(x.Context(), 50*time.Millisecond)
		defer cancel()
		x.SetContext(ctx)
		stop := x.ReadWithin()
		_, err := io.ReadAll(x.Request.Body)
		stop()
		failed <- err
		answer(x, 504, "")
	}, settings())
	check := func(t *testing.T, status string) {
		t.Helper()
		if err := <-failed; !errors.As(err, new(*exchange.BodyError)) || !errors.Is(err, os.ErrDeadlineExceeded) || status != "504" {
			t.Errorf("read: got %v and status %s, want a BodyError for a deadline and 504", err, status)
		}
	}
	t.Run("h1", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
		resp, _ := c.response("POST")
		check(t, strconv.Itoa(resp.StatusCode))
		c.closed()
	})
	t.Run("h2", func(t *testing.T) {
		c := dialH2(t, addr)
		c.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/")
		check(t, c.status(1))
	})
}

// An interruption that comes late must not be the next request's.
func TestBodyThatWasReadIsNotInterrupted(t *testing.T) {
	var before *exchange.Life
	addr := start(t, func(x *exchange.Exchange) {
		if before != nil {
			interrupted := make(chan struct{})
			context.AfterFunc(before, func() { close(interrupted) })
			before.End(context.Canceled)
			<-interrupted
		}
		before = x.Life()
		x.ReadWithin()
		body, err := io.ReadAll(x.Request.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		answer(x, 200, string(body))
	}, settings())
	c := dial(t, addr)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab")
		c.send("c")
		if _, body := c.response("POST"); body != "abc" {
			t.Errorf("got %q", body)
		}
	}
}

func TestSlowButSteadyUploadIsNotGivenUp(t *testing.T) {
	patient, limit := settings(), time.Second
	patient.Limits.BodyTimeout = manifest.Duration(limit)
	addr := start(t, func(x *exchange.Exchange) {
		n, err := io.Copy(io.Discard, x.Request.Body)
		answer(x, 200, fmt.Sprint(n, err))
	}, patient)
	bothVersions(t, func(t *testing.T, c *http.Client) {
		body, in := io.Pipe()
		go func() {
			tick := time.NewTicker(limit / 8)
			defer tick.Stop()
			for range 10 { // longer than the limit altogether
				in.Write([]byte("x"))
				<-tick.C
			}
			in.Close()
		}()
		resp, err := c.Post("http://"+addr, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != "10 <nil>" {
			t.Errorf("upload: got %s, want 10 bytes", got)
		}
	})
}

func TestClientThatLeavesEndsTheContext(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		began <- struct{}{}
		<-x.Context().Done()
		ended <- x.Context().Err()
	}, settings())
	for name, leave := range map[string]func(){
		"h1": func() {
			c := dial(t, addr)
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			<-began
			c.Close()
		},
		"h2": func() {
			c := dialH2(t, addr)
			c.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
			<-began
			c.WriteRSTStream(1, 8)
		},
	} {
		leave()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the context does not end", name)
		}
	}
}

func TestClientThatLeavesBreaksTheBody(t *testing.T) {
	failed := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		_, err := io.ReadAll(x.Request.Body)
		failed <- err
	}, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	c.Close()
	if err := <-failed; !errors.As(err, new(*exchange.BodyError)) {
		t.Errorf("read: got %v, want a BodyError", err)
	}
}

func TestBodyIsReadBesideTheResponse(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status = 200
		x.Response.Body, x.Response.Length = x.Request.Body, exchange.UnknownLength
		x.Sink.Send(x)
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		body, in := io.Pipe()
		defer in.Close()
		req, err := http.NewRequest("POST", "http://"+addr, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 100 {
			want := fmt.Sprintf("message %d", i)
			io.WriteString(in, want)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Fatalf("got %q, %v, want %q", got, err, want)
			}
		}
		in.Close()
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("after the end: got %q, %v", rest, err)
		}
	})
}

// TestStreamingClientMayBeSilent has a client stream in both directions and be
// silent for much longer than the listener's body timeout.
func TestStreamingClientMayBeSilent(t *testing.T) {
	silence := 4 * impatient().Limits.BodyTimeout.D()
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status = 200
		x.Response.Body, x.Response.Length = x.Request.Body, exchange.UnknownLength
		x.Sink.Send(x)
	}, impatient())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		body, in := io.Pipe()
		defer in.Close()
		resp, err := c.Post("http://"+addr, "", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		<-time.After(silence)
		io.WriteString(in, "late")
		expect(t, resp.Body, "late")
	})
}

// TestReaderThatOutlivesTheExchange has a goroutine read on while the call
// ends, as a transport does whose upstream answered early.
func TestReaderThatOutlivesTheExchange(t *testing.T) {
	ended := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		begun := make(chan struct{})
		go func() {
			b := make([]byte, 1)
			x.Request.Body.Read(b)
			close(begun)
			_, err := io.ReadAll(x.Request.Body)
			ended <- err
		}()
		<-begun
		answer(x, 200, "early")
	}, settings())
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab")
	if _, body := c.response("POST"); body != "early" {
		t.Errorf("body: got %q, want early", body)
	}
	c.closed()
	if err := <-ended; err == nil {
		t.Error("the reader was told that the body is complete")
	}
}
