package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// The laws of a reverse proxy that the tests of Go's own, net/http/httputil in
// reverseproxy_test.go, hold up, and the test that does it here. Names without a
// folder are in this package; sub-tests are of TestEverythingThroughEveryPolicy.
//
//	TestReverseProxy                          TestRoundTripLaw, TestHangUp
//	...StripHeadersPresentInConnection        TestConnectionOptionsEndHere
//	...StripEmptyConnection                   TestConnectionOptionsEndHere
//	TestXForwardedFor                         TestForwarding
//	TestXForwardedFor_Omit                    TestForwarding ("none")
//	...RewriteStripsForwarded                 TestForwarding ("untrusted")
//	...Query                                  TestTargetPassesAsItIs; an endpoint's URL has no query
//	...FlushInterval                          TestHeadIsSentAtOnce
//	...ResponseControllerFlushInterval        TestHeadIsSentAtOnce
//	...FlushIntervalHeaders                   TestHeadIsSentAtOnce
//	...Cancellation                           "client leaves"
//	TestNilBody                               "HTTP/1.0"
//	TestUserAgentHeader                       TestUserAgentIsTheClients
//	...GetPutBuffer                           no such setting; TestMemoryStaysFlat
//	..._Post                                  TestUploadArrivesWhole
//	..._NilBody                               TestNoBodyIsInvented
//	..._AllocatedHeader                       TestNoBodyIsInvented (no fields at all)
//	...ModifyResponse                         TestPolicyThatFails ("late")
//	...ErrorHandler                           TestPolicyThatFails, TestUpstreamFailures
//	..._CopyBuffer                            "broken response", TestFailuresAreLogged
//	TestServeHTTPDeepCopy                     TestRetryIsTheSameRequest
//	TestClonesRequestHeaders                  TestRetryIsTheSameRequest
//	TestModifyResponseClosesBody              TestReplacedResponseEndsTheOrigins
//	..._PanicBodyError                        "broken response"
//	..._PanicClosesIncomingBody               TestBrokenResponsesDuringUploads
//	TestSelectFlushInterval                   "server-sent events", TestHeadIsSentAtOnce
//	...WebSocket                              "websocket", "upgrade"
//	...WebSocketCancellation                  TestTunnelEndsWithEitherSide, TestShutdown
//	...WebSocketHalfTCP                       "upgrade"; server: TestSwitchingProtocols
//	...UpgradeNoCloseWrite                    TestTunnelEndsWithEitherSide; server: TestTunnelWithoutHalfCloseEndsWhole
//	TestUnannouncedTrailer                    "trailers"
//	TestSetURL                                TestHostThatEndpointsAreAskedFor
//	TestSingleJoinSlash, TestJoinURLPath      policies/router joins paths: TestRewrittenTarget
//	...RewriteReplacesOut                     TestRewrittenTarget
//	Test1xxHeadersNotModifiedAfterRoundTrip   TestClientLeavesAtEarlyHints
//	Test1xxResponses                          "early hints"
//	...QueryParameterSmuggling (four)         TestTargetPassesAsItIs; policies/request-guard refuses
//	...HijackCopyError                        TestTunnelEndsWithEitherSide
//	...InvalidUpstream100ContinueDoNotHang    TestUpstreamFailures ("expect")

// bare is a manifest without policies: one listener and one upstream.
const bare = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"
[upstream.origin]
endpoints = [%s]
%s
[service]
upstream = "origin"
`

// startBare runs a host without policies before an origin.
func startBare(t testing.TB, o *origin, upstream string) *host {
	t.Helper()
	return start(t, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), upstream))
}

// proxied is a bare host with its origin, and a client over HTTP/1.1.
func proxied(t testing.TB) (*host, *origin, *client) {
	t.Helper()
	o := startOrigin(t)
	h := startBare(t, o, "")
	return h, o, h.client(t, h1)
}

func TestRoundTripLaw(t *testing.T) {
	_, o, c := proxied(t)
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "some-name" || len(r.TransferEncoding) > 0 {
			t.Errorf("the origin saw host %q, coding %q", r.Host, r.TransferEncoding)
		}
		for name, want := range map[string]string{
			"Connection": "TE", "Te": "trailers", "Upgrade": "", "Proxy-Connection": "", "Keep-Alive": "",
			"Proxy-Authorization": "", "X-Mine": "", "X-Yours": "stays",
		} {
			if got := strings.Join(r.Header[name], "|"); got != want {
				t.Errorf("the origin saw %s: %q, want %q", name, got, want)
			}
		}
		w.Header().Set("Trailers", "no special name")
		w.Header().Set("Trailer", "X-Trailer")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header()["X-Multi"] = []string{"one", "two"}
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2, c")
		w.WriteHeader(404)
		io.WriteString(w, "origin's own")
		w.Header().Set("X-Trailer", "sum")
	})
	r := c.request(t, "GET", path, nil)
	r.Host = "some-name"
	r.Header = http.Header{
		"Connection": {"close, TE", "X-Mine"}, "Te": {"foo", "bar, trailers"}, "Proxy-Connection": {"x"}, "Keep-Alive": {"5"},
		"Proxy-Authorization": {"secret"}, "Upgrade": {"foo"}, "X-Mine": {"goes"}, "X-Yours": {"stays"},
	}
	resp := c.do(t, r)
	if _, announced := resp.Trailer["X-Trailer"]; !announced {
		t.Error("the trailer was not announced")
	}
	if body := all(t, resp.Body); resp.StatusCode != 404 || body != "origin's own" || resp.Trailer.Get("X-Trailer") != "sum" {
		t.Errorf("got status %d, body %q, trailer %v", resp.StatusCode, body, resp.Trailer)
	}
	for name, want := range map[string]string{
		"Trailers": "no special name", "Keep-Alive": "", "Proxy-Authenticate": "", "X-Multi": "one|two", "Set-Cookie": "a=1|b=2, c",
		"Via": "1.1 ergo",
	} {
		if got := strings.Join(resp.Header[name], "|"); got != want {
			t.Errorf("the client saw %s: %q, want %q", name, got, want)
		}
	}
}

func TestHangUp(t *testing.T) {
	_, o, c := proxied(t)
	resp, body := c.get(t, o.at(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	if resp.StatusCode != 502 || body != "502 Bad Gateway\n" {
		t.Errorf("got status %d and %q", resp.StatusCode, body)
	}
}

// TestConnectionOptionsEndHere holds for what the client calls its own and for
// what the origin calls its own, beside empty Connection fields too.
func TestConnectionOptionsEndHere(t *testing.T) {
	h, o, _ := proxied(t)
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Connection", "X-One", "X-Two"} {
			if values, found := r.Header[name]; found {
				t.Errorf("the origin saw %s: %q", name, values)
			}
		}
		w.Header()["Connection"] = []string{"", "x-one, upgrade", "X-Two"}
		w.Header().Set("X-One", "1")
		w.Header().Set("X-Two", "2")
	})
	for _, connection := range []string{"Connection: Upgrade, x-one\r\nConnection: X-TWO\r\n", "Connection:\r\nConnection: ,x-one,, x-two ,\r\n"} {
		c := h.dial(t, h1)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + connection + "X-One: 1\r\nX-Two: 2\r\n\r\n")
		resp, _ := c.response("GET")
		for _, name := range []string{"Connection", "X-One", "X-Two"} {
			if values, found := resp.Header[name]; found || resp.StatusCode != 200 {
				t.Errorf("status %d, the client saw %s: %q", resp.StatusCode, name, values)
			}
		}
	}
}

// TestTargetPassesAsItIs has nothing decoded, joined, cleaned or sorted: whoever
// reads it there reads what the policies read here.
func TestTargetPassesAsItIs(t *testing.T) {
	h, _, _ := proxied(t)
	for _, target := range []string{
		"/", "/?", "/??", "/a?us=er", "/a%2fb/%2E%2e/c", "/a/../b", "/a//b/", "//host/a", "//a//b?c=//d", "/a;b=c/d",
		"/?a=1&a=2;b=3", "/?a=%zz&b=3", "/?" + strings.Repeat("a=1&", 10000), "/\"<>\\^`{|}", "/é", "/a:b@c", "/+%20",
		"//a%2fb?", "//a%2fb\"",
	} {
		c := h.dial(t, h1)
		c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		resp, body := c.response("GET")
		if resp.StatusCode != 200 {
			t.Errorf("target %.80q: got status %d", target, resp.StatusCode)
		} else if seen := hosttest.Decode(t, strings.NewReader(body)); seen.Target != target {
			t.Errorf("target %.80q: the origin saw %.80q", target, seen.Target)
		}
	}
	for _, target := range []string{"/%zz", "/%", "/a b", "/a\x01b", "/a\x7fb", "/#a", "a"} { // these have no one meaning
		c := h.dial(t, h1)
		c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, _ := c.response("GET"); resp.StatusCode != 400 {
			t.Errorf("target %q: got status %d, want 400", target, resp.StatusCode)
		}
	}
}

// TestHeadIsSentAtOnce has the origin hold back its body, and then the rest of
// it: what came is not held back here.
func TestHeadIsSentAtOnce(t *testing.T) {
	_, o, c := proxied(t)
	for _, contentType := range []string{"", "text/plain", "text/event-stream", "text/event-stream;charset=utf-8"} {
		more := make(chan struct{})
		resp := c.do(t, c.request(t, "GET", o.at(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			for _, part := range []string{"", "one", "two"} {
				io.WriteString(w, part)
				w.(http.Flusher).Flush()
				select {
				case <-more:
				case <-r.Context().Done():
				}
			}
		}), nil))
		more <- struct{}{}
		expect(t, resp.Body, "one")
		more <- struct{}{}
		expect(t, resp.Body, "two")
		close(more)
	}
}

func TestUserAgentIsTheClients(t *testing.T) {
	h, _, _ := proxied(t)
	for _, agent := range []string{"User-Agent: explicit\r\n", "User-Agent:\r\n", ""} {
		c := h.dial(t, h1)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n" + agent + "\r\n")
		_, body := c.response("GET")
		got, found := hosttest.Decode(t, strings.NewReader(body)).Header["User-Agent"]
		want := strings.TrimSpace(strings.TrimPrefix(agent, "User-Agent:"))
		if strings.Join(got, "|") != want || agent == "" && found {
			t.Errorf("%q: the origin saw %q", agent, got)
		}
	}
}

func TestUploadArrivesWhole(t *testing.T) {
	_, o, c := proxied(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, body) || r.ContentLength != int64(len(body)) {
			t.Errorf("the origin got %d bytes of %d, %v", len(got), r.ContentLength, err)
		}
	})
	if resp := c.do(t, c.request(t, "POST", path, bytes.NewReader(body))); resp.StatusCode != 200 {
		t.Errorf("got status %d", resp.StatusCode)
	}
}

// TestNoBodyIsInvented has requests without body arrive without any.
func TestNoBodyIsInvented(t *testing.T) {
	for _, test := range []struct{ request, framing string }{
		{"GET / HTTP/1.0\r\n\r\n", ""},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0"},
		{"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "Content-Length: 0"},
	} {
		heads := make(chan []string, 1)
		addr := hosttest.Raw(t, func(c net.Conn) {
			heads <- newRaw(t, c).head()
			io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		})
		h := start(t, fmt.Sprintf(bare, `"http://`+addr+`"`, ""))
		c := h.dial(t, h1)
		c.send(test.request)
		c.response("GET")
		framing := slices.DeleteFunc(within(t, heads, "a request"), func(line string) bool {
			return !strings.HasPrefix(line, "Content-Length:") && !strings.HasPrefix(line, "Transfer-Encoding:")
		})
		if got := strings.Join(framing, "|"); got != test.framing {
			t.Errorf("%q: the origin saw %q, want %q", test.request, got, test.framing)
		}
	}
}

func TestBrokenResponsesDuringUploads(t *testing.T) {
	_, o, c := proxied(t)
	path := o.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "less")
	})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for range 10 {
				r := c.request(t, "POST", path, io.LimitReader(hosttest.Zeros{}, 6<<20))
				r.ContentLength = 6 << 20
				resp, err := c.transport.RoundTrip(r)
				if err != nil {
					continue // the connection broke before the head was read
				}
				if text, err := io.ReadAll(resp.Body); err == nil && resp.StatusCode == 200 {
					t.Errorf("%q was taken for the whole", text)
				}
				resp.Body.Close()
			}
		})
	}
	clients.Wait()
	if resp, _ := c.get(t, "/"); resp.StatusCode != 200 {
		t.Errorf("afterwards: got status %d", resp.StatusCode)
	}
}

// TestTunnelEndsWithEitherSide lets one side vanish: the other one learns of it.
func TestTunnelEndsWithEitherSide(t *testing.T) {
	h, o, c := proxied(t)
	p := &passage{h, o, plain, c}
	t.Run("client", func(t *testing.T) {
		near, far := tunnel(t, p)
		near.Close()
		if rest, err := io.ReadAll(far); len(rest) > 0 {
			t.Errorf("the origin got %q, %v", rest, err)
		}
	})
	t.Run("origin", func(t *testing.T) {
		near, far := tunnel(t, p)
		far.WriteCloser.(*net.TCPConn).SetLinger(0)
		far.Close()
		near.wantClosed()
	})
}

// TestClientLeavesAtEarlyHints has the client go away at the first of many: none
// may reach a response that is over. The race detector watches.
func TestClientLeavesAtEarlyHints(t *testing.T) {
	_, o, c := proxied(t)
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		for range 20 {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
		}
		<-r.Context().Done()
	})
	for range 10 {
		r := c.request(t, "GET", path, nil)
		ctx, cancel := withCancel(r)
		r = r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { cancel(); return nil },
		}))
		if resp, err := c.transport.RoundTrip(r); err == nil {
			resp.Body.Close()
			t.Error("got an answer")
		}
		cancel()
	}
}

func TestHostThatEndpointsAreAskedFor(t *testing.T) {
	o := startOrigin(t)
	for _, test := range []struct{ setting, want string }{
		{"", "site.test"}, {`host = "client"`, "site.test"}, {`host = "endpoint"`, o.Addr}, {`host = "fixed.test:81"`, "fixed.test:81"},
	} {
		h := startBare(t, o, test.setting)
		_, body := h.client(t, h1).get(t, "/")
		if seen := hosttest.Decode(t, strings.NewReader(body)); seen.Host != test.want {
			t.Errorf("%s: the origin saw %q, want %q", test.setting, seen.Host, test.want)
		}
	}
}

// TestRetryIsTheSameRequest fails the first try: what was added for it must not
// stand twice in the second.
func TestRetryIsTheSameRequest(t *testing.T) {
	var seen []hosttest.Seen
	o := startOrigin(t)
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, hosttest.Seen{Target: r.RequestURI, Header: r.Header, Body: string(body)})
		if len(seen) == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	h := startBare(t, o, "")
	c := h.client(t, h1)
	if resp := c.do(t, c.request(t, "PUT", path, strings.NewReader("body"))); resp.StatusCode != 200 || len(seen) != 2 {
		t.Fatalf("got status %d after %d tries", resp.StatusCode, len(seen))
	}
	if first, second := fmt.Sprint(seen[0]), fmt.Sprint(seen[1]); first != second {
		t.Errorf("tries differ:\n%s\n%s", first, second)
	}
}
