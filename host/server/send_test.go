package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestFraming(t *testing.T) {
	unknown := exchange.UnknownLength
	for _, test := range []struct {
		name   string
		line   string // request line
		status int
		body   string
		length int64
		want   []string // head without Date, then the bytes after it
	}{
		{"known length", "GET / HTTP/1.1", 200, "abc", 3, []string{"HTTP/1.1 200 OK", "Content-Length: 3", "abc"}},
		{"unknown length", "GET / HTTP/1.1", 200, "abc", unknown, []string{"HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"}},
		{"empty", "GET / HTTP/1.1", 200, "", 0, []string{"HTTP/1.1 200 OK", "Content-Length: 0", ""}},
		{"HEAD of known length", "HEAD / HTTP/1.1", 200, "", 77, []string{"HTTP/1.1 200 OK", "Content-Length: 77", ""}},
		{"HEAD of unknown length", "HEAD / HTTP/1.1", 200, "", unknown, []string{"HTTP/1.1 200 OK", ""}},
		{"HEAD with a body", "HEAD / HTTP/1.1", 200, "abc", 3, []string{"HTTP/1.1 200 OK", "Content-Length: 3", ""}},
		{"204", "GET / HTTP/1.1", 204, "", 0, []string{"HTTP/1.1 204 No Content", ""}},
		{"304", "GET / HTTP/1.1", 304, "", 0, []string{"HTTP/1.1 304 Not Modified", ""}},
		{"unknown status", "GET / HTTP/1.1", 299, "", 0, []string{"HTTP/1.1 299 ", "Content-Length: 0", ""}},
		{"HTTP/1.0 of known length", "GET / HTTP/1.0", 200, "abc", 3, []string{"HTTP/1.1 200 OK", "Content-Length: 3", "Connection: close", "abc"}},
		{"HTTP/1.0 of unknown length", "GET / HTTP/1.0", 200, "abc", unknown, []string{"HTTP/1.1 200 OK", "Connection: close", "abc"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := start(t, func(x *exchange.Exchange) {
				x.Response.Status, x.Response.Length = test.status, test.length
				if test.body != "" {
					x.Response.Body = io.NopCloser(strings.NewReader(test.body))
				}
				if err := x.Sink.Send(x); err != nil {
					t.Errorf("send: %v", err)
				}
			}, settings())
			c := dial(t, addr)
			c.send(test.line + "\r\nHost: h\r\n\r\n")
			c.CloseWrite()
			head := withoutDate(c.head())
			rest, err := io.ReadAll(c.r)
			if got := append(head, string(rest)); !slices.Equal(got, test.want) || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// What follows a request of HTTP/1.0 can't be told from the rest of its body if it
// named a transfer coding.
func TestTransferCodingInHTTP10IsRefused(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, x.Request.Target) }, settings())
	c := dial(t, addr)
	c.send("POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" +
		"GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := c.response("POST"); resp.StatusCode != 400 || !resp.Close {
		t.Errorf("got %d, close %v, want 400 and the end", resp.StatusCode, resp.Close)
	}
	c.closed()
}

func TestHTTP10IsKeptAliveIfItAsks(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, x.Request.Target) }, settings())
	c := dial(t, addr)
	for range 3 {
		c.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		want := []string{"HTTP/1.1 200 OK", "Content-Length: 2", "Connection: keep-alive"}
		if got := withoutDate(c.head()); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		expect(t, c.r, "/a")
	}
}

func withoutDate(head []string) []string {
	return slices.DeleteFunc(head, func(line string) bool { return strings.HasPrefix(line, "Date: ") })
}

func TestResponseFieldsPass(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		h := &x.Response.Header
		h.Add("x-lower", "1")
		h.Add("X-Multi", "b")
		h.Add("X-Multi", "a")
		h.Add("date", "yesterday")
		h.Add("Content-Length", "999")     // Length counts
		h.Add("Transfer-Encoding", "gzip") // and frames
		h.Add("Connection", "close")       // the connection is the server's
		h.Add("keep-alive", "timeout=1")   // and so is this
		answer(x, 200, "<html>not sniffed</html>")
	}, settings())
	c := dial(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	want := []string{"HTTP/1.1 200 OK", "x-lower: 1", "X-Multi: b", "X-Multi: a", "date: yesterday", "Content-Length: 24"}
	if got := c.head(); !slices.Equal(got, want) {
		t.Errorf("head:\n got %q\nwant %q", got, want)
	}
}

// What would be read as something else is not sent, nor mended.
func TestResponseFieldsThatAreNone(t *testing.T) {
	for _, field := range []exchange.Field{{Name: "Trailer:X-Sly", Value: "1"}, {Name: "X-Lines", Value: "a\r\nX-Smuggled: b"}} {
		addr := start(t, func(x *exchange.Exchange) {
			x.Response.Header.Add(field.Name, field.Value)
			answer(x, 200, "secret")
		}, settings())
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, body := c.response("GET"); resp.StatusCode != 502 || body != "502 Bad Gateway\n" {
			t.Errorf("%q: got %d %q, want a clean 502", field, resp.StatusCode, body)
		}
	}
}

func TestResponseTrailers(t *testing.T) {
	for _, announced := range []bool{true, false} {
		for _, length := range []int64{exchange.UnknownLength, 4} {
			addr := start(t, func(x *exchange.Exchange) {
				trailer := &x.Response.Trailer
				if announced {
					trailer.Add("X-Sum", "")
				}
				x.Response.Status, x.Response.Length = 200, length
				x.Response.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), atEnd(func() {
					trailer.Reset()
					trailer.Add("X-Sum", "42")
					trailer.Add("Content-Type", "forbidden/here")
				})))
				if err := x.Sink.Send(x); err != nil {
					t.Errorf("send: %v", err)
				}
			}, settings())
			bothVersions(t, func(t *testing.T, c *http.Client) {
				resp, err := c.Get("http://" + addr)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, wasAnnounced := resp.Trailer["X-Sum"]
				if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
					t.Fatalf("body: got %q, %v", body, err)
				}
				if length >= 0 && !announced && resp.ProtoMajor == 1 {
					return // there is no place for them after a known length
				}
				if wasAnnounced != announced {
					t.Errorf("announced: got %v, want %v", wasAnnounced, announced)
				}
				if got, want := fmt.Sprint(resp.Trailer), "map[X-Sum:[42]]"; got != want {
					t.Errorf("trailer: got %s, want %s", got, want)
				}
			})
		}
	}
}

func TestNoTrailersForHTTP10(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Trailer.Add("X-Sum", "42")
		answer(x, 200, "body")
	}, settings())
	c := dial(t, addr)
	c.send("GET / HTTP/1.0\r\n\r\n")
	resp, body := c.response("GET")
	if resp.ContentLength != 4 || body != "body" || len(resp.Trailer) > 0 || resp.Header.Get("X-Sum") != "" {
		t.Errorf("got length %d, body %q, trailer %v", resp.ContentLength, body, resp.Trailer)
	}
}

// atEnd is a reader without bytes that calls itself when it is read.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func TestInterimResponsesPassAtOnce(t *testing.T) {
	final := make(chan struct{})
	addr := start(t, func(x *exchange.Exchange) {
		var h exchange.Header
		h.Add("Link", "</a.css>; rel=preload")
		h.Add("Link", "</b.js>; rel=preload")
		if err := x.Sink.Inform(103, &h); err != nil {
			t.Errorf("inform: %v", err)
		}
		<-final
		x.Response.Header.Add("X-Final", "1")
		answer(x, 200, "done")
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"]))
			final <- struct{}{} // only now does the handler go on
			return nil
		}}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if want := []string{"103 [</a.css>; rel=preload </b.js>; rel=preload]"}; !slices.Equal(hints, want) {
			t.Errorf("hints: got %q, want %q", hints, want)
		}
		if resp.Header.Get("Link") != "" || resp.Header.Get("X-Final") != "1" {
			t.Errorf("final head: got %v, want X-Final alone", resp.Header)
		}
	})
}

func TestInterimResponsesAreNotForHTTP10(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) {
		x.Sink.Inform(103, new(exchange.Header))
		answer(x, 200, "done")
	}, settings())
	c := dial(t, addr)
	c.send("GET / HTTP/1.0\r\n\r\n")
	if resp, _ := c.response("GET"); resp.StatusCode != 200 {
		t.Errorf("first response: got %d, want 200", resp.StatusCode)
	}
}

func TestStreamsAreFlushed(t *testing.T) {
	for _, test := range []struct {
		name, contentType string
		length            int64
	}{
		{"unknown length", "", exchange.UnknownLength},
		{"events", "text/event-stream", 100},
		{"gRPC", "application/grpc+proto", 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := make(chan *io.PipeWriter, 1)
			addr := start(t, func(x *exchange.Exchange) {
				body, in := io.Pipe()
				source <- in
				x.Response.Status, x.Response.Body, x.Response.Length = 200, body, test.length
				if test.contentType != "" {
					x.Response.Header.Add("content-type", test.contentType)
				}
				x.Sink.Send(x)
			}, settings())
			bothVersions(t, func(t *testing.T, c *http.Client) {
				resp, err := c.Get("http://" + addr) // returns though there is no body yet
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				in := <-source
				defer in.Close()
				for i := range 5 {
					event := fmt.Sprintf("event %d\n", i)
					io.WriteString(in, event)
					got := make([]byte, len(event))
					if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
						t.Fatalf("got %q, %v, want %q", got, err, event)
					}
				}
			})
		})
	}
}

// TestBrokenBodyIsSeen is about a body that does not come to its end: a client
// must not take it for complete.
func TestBrokenBodyIsSeen(t *testing.T) {
	cause := errors.New("upstream broke")
	for _, test := range []struct {
		name   string
		body   string
		err    error // after body
		length int64
	}{
		{"error, known length", "abc", cause, 10},
		{"error, unknown length", "abc", cause, exchange.UnknownLength},
		{"error at once", "", cause, exchange.UnknownLength},
		{"too short", "abc", io.EOF, 10},
		{"too long", "abcdefghijklmno", io.EOF, 10},
	} {
		sent := make(chan error, 3)
		addr := start(t, func(x *exchange.Exchange) {
			x.Response.Status, x.Response.Length = 200, test.length
			x.Response.Body = io.NopCloser(io.MultiReader(strings.NewReader(test.body), errReader{test.err}))
			sent <- x.Sink.Send(x)
		}, settings())
		check := func(t *testing.T) {
			t.Helper()
			var sendErr *exchange.SendError
			if err := <-sent; !errors.As(err, &sendErr) || !sendErr.Upstream {
				t.Errorf("send: got %v, want a SendError that blames the upstream", err)
			}
		}
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(test.name+"/"+version, func(t *testing.T) {
				c := dial(t, addr)
				c.send("GET / HTTP/" + version + "\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
				resp, err := http.ReadResponse(c.r, nil)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
				}
				if err == nil && test.name != "too long" {
					t.Error("the client took the response for complete")
				}
				check(t)
			})
		}
		t.Run(test.name+"/h2", func(t *testing.T) {
			resp, err := client(t, true).Get("http://" + addr)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			var reset http2.StreamError
			if err == nil || errors.As(err, &reset) && reset.Code == http2.ErrCodeNo {
				t.Errorf("the client got %v, want a reset", err)
			}
			check(t)
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestClientThatLeavesDuringTheResponse(t *testing.T) {
	sent := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = io.NopCloser(hosttest.Zeros{})
		sent <- x.Sink.Send(x)
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var sendErr *exchange.SendError
		if err := <-sent; !errors.As(err, &sendErr) || sendErr.Upstream {
			t.Errorf("send: got %v, want a SendError that blames the client", err)
		}
	})
}

func TestClientThatDoesNotReadIsGivenUp(t *testing.T) {
	sent := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length = 200, 1<<30
		x.Response.Body = io.NopCloser(io.LimitReader(hosttest.Zeros{}, 1<<30))
		sent <- x.Sink.Send(x)
	}, impatient())
	check := func(t *testing.T) {
		t.Helper()
		select {
		case err := <-sent:
			if !errors.As(err, new(*exchange.SendError)) {
				t.Errorf("send: got %v, want a SendError", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the write does not end")
		}
	}
	t.Run("h1", func(t *testing.T) {
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		check(t)
	})
	t.Run("h2", func(t *testing.T) {
		c := dialH2(t, addr)
		c.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
		check(t) // no window is opened
	})
}

func TestSmallResponseWithoutWindowIsGivenUp(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "small") }, impatient())
	c := dialH2(t, addr)
	c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
	if got := c.status(1); got != "200" {
		t.Fatalf("status: got %s", got)
	}
	if reset, ok := c.next(1).(*http2.RSTStreamFrame); !ok {
		t.Errorf("got %v, want a reset", reset)
	}
}

// TestSilentUpstreamIsNotTheClientsFault has a stream be silent for much longer
// than the listener's body timeout.
func TestSilentUpstreamIsNotTheClientsFault(t *testing.T) {
	silence := 4 * impatient().Limits.BodyTimeout.D()
	addr := start(t, func(x *exchange.Exchange) {
		body, in := io.Pipe()
		go func() {
			io.WriteString(in, "a")
			<-time.After(silence)
			io.WriteString(in, "b")
			in.Close()
		}()
		x.Response.Status, x.Response.Body, x.Response.Length = 200, body, exchange.UnknownLength
		if err := x.Sink.Send(x); err != nil {
			t.Errorf("send: %v", err)
		}
	}, impatient())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "ab" || err != nil {
			t.Errorf("body: got %q, %v, want ab", body, err)
		}
	})
}

func TestStatusThatIsNone(t *testing.T) {
	for _, status := range []int{0, 99, 150, 600, 1000} {
		addr := start(t, func(x *exchange.Exchange) { answer(x, status, "") }, settings())
		bothVersions(t, func(t *testing.T, c *http.Client) {
			resp, err := c.Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 502 {
				t.Errorf("%d: got %d, want 502", status, resp.StatusCode)
			}
		})
	}
}

func TestBodyBytesAreCounted(t *testing.T) {
	counts := make(chan [2]int64, 1)
	addr := start(t, func(x *exchange.Exchange) {
		io.Copy(io.Discard, x.Request.Body)
		answer(x, 200, "12345")
		counts <- [2]int64{x.RequestBytes, x.ResponseBytes}
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Post("http://"+addr, "", strings.NewReader("123"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := <-counts, [2]int64{3, 5}; got != want {
			t.Errorf("bytes in and out: got %v, want %v", got, want)
		}
	})
}
