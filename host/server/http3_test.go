package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
)

// over3 are settings of a listener that speaks HTTP/3 for 127.0.0.1.
func over3(t testing.TB, ca *hosttest.CA) manifest.Listener {
	s, _ := secured(t, ca, []string{"127.0.0.1", "a.test"})
	s.HTTP3 = true
	return s
}

// transport3 speaks HTTP/3 with one connection for each address.
func transport3(t testing.TB, config *tls.Config) *http3.Transport {
	transport := &http3.Transport{TLSClientConfig: config, DisableCompression: true}
	t.Cleanup(func() { transport.Close() })
	return transport
}

func client3(t testing.TB, ca *hosttest.CA) *http.Client {
	return &http.Client{Transport: transport3(t, &tls.Config{RootCAs: ca.Pool()}), Timeout: 20 * time.Second}
}

// start3 serves h over HTTP/3 and returns the listener's URL and a client.
func start3(t testing.TB, h handlerFunc) (url string, c *http.Client) {
	ca := hosttest.NewCA(t)
	return "https://" + start(t, h, over3(t, ca)), client3(t, ca)
}

// get3 sends a request and reads the response.
func get3(t testing.TB, c *http.Client, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestHTTP3RoundTrip(t *testing.T) {
	seen := make(chan *exchange.Exchange, 1)
	url, c := start3(t, func(x *exchange.Exchange) {
		body, err := io.ReadAll(x.Request.Body)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		x.Response.Header.Add("X-Twice", "1")
		x.Response.Header.Add("X-Twice", "2")
		x.Response.Header.Add("X-Broken", "a\r\nb")
		answer(x, 201, strings.ToUpper(string(body)))
		seen <- x
	})
	resp, body := get3(t, c, "POST", url+"/a%2Fb?c=d&e", strings.NewReader("hello"), "X-A", "1", "X-A", "2")
	if resp.ProtoMajor != 3 || resp.StatusCode != 201 || body != "HELLO" || resp.ContentLength != 5 {
		t.Errorf("response: got %s %d %q of length %d", resp.Proto, resp.StatusCode, body, resp.ContentLength)
	}
	if got := fmt.Sprint(resp.Header["X-Twice"], resp.Header["X-Broken"], resp.Header["Alt-Svc"]); got != "[1 2] [] []" {
		t.Errorf("fields: got %s", got)
	}
	x := <-seen
	req := &x.Request
	if got := fmt.Sprint(req.Method, req.Scheme, req.Authority, req.Target, req.Version, req.Length, req.Header.AppendValues(nil, "x-a")); got !=
		fmt.Sprint("POST", "https", strings.TrimPrefix(url, "https://"), "/a%2Fb?c=d&e", exchange.HTTP3, 5, []string{"1", "2"}) {
		t.Errorf("request: got %s", got)
	}
	if tls := x.Conn.TLS; tls == nil || tls.Protocol != "h3" || x.Conn.Remote.Port() == 0 || x.Conn.Local.Port() == 0 {
		t.Errorf("connection: got %+v", x.Conn)
	}
}

// A request over HTTP/3 does not say whether it has a body.
func TestHTTP3KnowsWhatHasNoBody(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		n := int64(0)
		if x.Request.Body != nil {
			n, _ = io.Copy(io.Discard, x.Request.Body)
		}
		answer(x, 200, fmt.Sprint(x.Request.Body != nil, x.Request.Length, n))
	})
	for _, test := range []struct {
		method string
		body   io.Reader
		want   string
	}{
		{"GET", nil, "false 0 0"},
		{"DELETE", nil, "false 0 0"},
		{"GET", strings.NewReader("abc"), "true 3 3"},
		{"DELETE", io.MultiReader(strings.NewReader("ab"), strings.NewReader("c")), "true -1 3"},
		{"POST", io.MultiReader(strings.NewReader("abc")), "true -1 3"},
	} {
		if _, got := get3(t, c, test.method, url, test.body); got != test.want {
			t.Errorf("%s: got %s, want %s", test.method, got, test.want)
		}
	}
}

func TestHTTP3Head(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		if x.Request.Target == "/known" {
			x.Response.Length = 7
		}
		x.Sink.Send(x)
	})
	for path, want := range map[string]string{"/known": "7", "/unknown": ""} {
		resp, body := get3(t, c, "HEAD", url+path, nil)
		if got := resp.Header.Get("Content-Length"); got != want || body != "" {
			t.Errorf("%s: got length %q, body %q, want length %q", path, got, body, want)
		}
	}
}

func TestHTTP3Trailers(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		io.Copy(io.Discard, x.Request.Body)
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Header.Add("X-Both", "header")
		x.Response.Trailer.Add("X-Both", "trailer")
		x.Response.Trailer.Add("X-Sum", x.Request.Trailer.Value("x-sum"))
		x.Response.Body = io.NopCloser(strings.NewReader("body"))
		x.Sink.Send(x)
	})
	req, _ := http.NewRequest("POST", url, io.MultiReader(strings.NewReader("abc")))
	req.Trailer = http.Header{"X-Sum": {"42"}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
		t.Errorf("body: got %q, %v", body, err)
	}
	if got := fmt.Sprint(resp.Header.Values("X-Both"), resp.Trailer); got != "[header] map[X-Both:[trailer] X-Sum:[42]]" {
		t.Errorf("got %s", got)
	}
}

func TestHTTP3Informational(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		var h exchange.Header
		h.Add("Link", "</a.css>")
		x.Sink.Inform(103, &h)
		answer(x, 200, "ok")
	})
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h["Link"]))
		return nil
	}}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url, nil)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := fmt.Sprint(hints); got != "[103 [</a.css>]]" || resp.Header["Link"] != nil {
		t.Errorf("got hints %s, then Link %q", got, resp.Header["Link"])
	}
}

func TestHTTP3Continue(t *testing.T) {
	goOn := make(chan struct{})
	url, c := start3(t, func(x *exchange.Exchange) {
		if x.Request.Target == "/refuse" {
			answer(x, 417, "")
			return
		}
		<-goOn
		body, _ := io.ReadAll(x.Request.Body)
		answer(x, 200, string(body))
	})
	for path, want := range map[string]string{"/refuse": "0 417 ", "/take": "1 200 abc"} {
		asked := 0
		trace := &httptrace.ClientTrace{Got100Continue: func() { asked++ }, Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil }}
		body, in := io.Pipe()
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", url+path, body)
		req.Header.Set("Expect", "100-continue")
		go func() {
			if path == "/take" {
				goOn <- struct{}{}
			}
			io.WriteString(in, "abc")
			in.Close()
		}()
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		body.Close()
		if got := fmt.Sprint(asked, " ", resp.StatusCode, " ", string(text)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// Both ways at once: each part is answered before the next one is sent.
func TestHTTP3Streams(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = x.Request.Body
		x.Sink.Send(x)
	})
	body, in := io.Pipe()
	req, _ := http.NewRequest("POST", url, body)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 20 {
		want := fmt.Sprintf("part %2d", i)
		io.WriteString(in, want)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); string(got) != want || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("at the end: got %q, %v", rest, err)
	}
}

func TestHTTP3LargeBodies(t *testing.T) {
	const size = 8 << 20
	url, c := start3(t, func(x *exchange.Exchange) {
		n, err := io.Copy(io.Discard, x.Request.Body)
		if err != nil || n != size {
			t.Errorf("upload: got %d bytes, %v", n, err)
		}
		x.Response.Status, x.Response.Length = 200, size
		x.Response.Body = io.NopCloser(io.LimitReader(zeros{}, size))
		x.Sink.Send(x)
	})
	req, _ := http.NewRequest("POST", url, io.LimitReader(zeros{}, size))
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("download: got %d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHTTP3ClientThatLeavesEndsTheExchange(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	url, c := start3(t, func(x *exchange.Exchange) {
		close(began)
		<-x.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	<-ended
}

// A response that breaks off is seen to, and its connection goes on.
func TestHTTP3BrokenResponse(t *testing.T) {
	url, c := start3(t, func(x *exchange.Exchange) {
		if x.Request.Target == "/whole" {
			answer(x, 200, "whole")
			return
		}
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), broken{}))
		x.Sink.Send(x)
	})
	if resp, err := c.Get(url); err == nil { // else the reset has overtaken the head
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("got %q as if whole", body)
		}
		resp.Body.Close()
	}
	if _, body := get3(t, c, "GET", url+"/whole", nil); body != "whole" {
		t.Errorf("afterwards: got %q", body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestHTTP3ClientCertificates(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.TLS.ClientAuth, listener.TLS.ClientCA = "required", ca.WriteCA(t, t.TempDir())
	addr := start(t, func(x *exchange.Exchange) {
		answer(x, 200, x.Conn.TLS.PeerCertificates[0].Subject.CommonName)
	}, listener)
	if resp, err := client3(t, ca).Get("https://" + addr); err == nil {
		t.Errorf("without a certificate: got %d", resp.StatusCode)
	}
	certPEM, keyPEM := ca.Issue(t, "someone")
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: transport3(t, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair}})}
	if _, body := get3(t, c, "GET", "https://"+addr, nil); body != "someone" {
		t.Errorf("with one: got %q", body)
	}
}

func TestAltSvc(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	handler := func(x *exchange.Exchange) {
		if x.Request.Target == "/own" {
			x.Response.Header.Add("alt-svc", "clear")
		}
		answer(x, 200, "")
	}
	addr := start(t, handler, listener)
	ours := `h3=":` + addr[strings.LastIndex(addr, ":")+1:] + `"; ma=86400`
	listener.HTTP3 = false
	without := start(t, handler, listener)
	for _, h2 := range []bool{false, true} {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: h2}}
		for url, want := range map[string]string{addr: "[" + ours + "]", addr + "/own": "[clear]", without: "[]"} {
			resp, _ := get3(t, c, "GET", "https://"+url, nil)
			if got := fmt.Sprint(resp.Header["Alt-Svc"]); got != want || (resp.ProtoMajor == 2) != h2 {
				t.Errorf("%s over %s: got %s, want %s", url, resp.Proto, got, want)
			}
		}
		c.CloseIdleConnections()
	}
}
