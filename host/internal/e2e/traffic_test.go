package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// traffic is every kind of exchange. What needs HTTP/1.1 or HTTP/2 says so by
// skipping the other one.
var traffic = []struct {
	name string
	only func(w wire) bool // nil: any
	test func(t *testing.T, p *passage)
}{
	{"request and response", nil, testRequestAndResponse},
	{"HEAD", nil, testHead},
	{"no content", nil, testNoContent},
	{"body of unknown length", nil, testUnknownLength},
	{"trailers", nil, testTrailers},
	{"expect continue", nil, testExpectContinue},
	{"expect refused", nil, testExpectRefused},
	{"expect denied", nil, testExpectDenied},
	{"early answer", nil, testEarlyAnswer},
	{"early hints", nil, testEarlyHints},
	{"server-sent events", nil, testEvents},
	{"broken response", nil, testBrokenResponse},
	{"client leaves", nil, testClientLeaves},
	{"HTTP/1.0", func(w wire) bool { return !w.h2 }, testHTTP10},
	{"websocket", func(w wire) bool { return !w.h2 }, testWebSocket},
	{"upgrade", func(w wire) bool { return !w.h2 }, testUpgrade},
	{"upgrade refused", func(w wire) bool { return !w.h2 }, testUpgradeRefused},
}

// TestEverythingThroughEveryPolicy takes all traffic over all wires through all
// kinds of policies, to origins over HTTP/1.1 and over HTTP/2.
func TestEverythingThroughEveryPolicy(t *testing.T) {
	ca := hosttest.NewCA(t)
	secure := startSecureOrigin(t, ca)
	secure.grpc = newService(t)
	simple := startOrigin(t)
	for _, upstream := range []struct {
		name   string
		origin *origin
		host   *host
	}{
		{"to h1", simple, startThrough(t, simple.URL, "")},
		{"to h2", secure, startThrough(t, secure.URL, fmt.Sprintf("tls.ca = %q", ca.WriteCA(t, t.TempDir())))},
	} {
		for _, w := range wires {
			for _, k := range kinds {
				t.Run(upstream.name+"/"+w.name+"/"+k.name, func(t *testing.T) {
					p := newPassage(t, upstream.host, upstream.origin, k, w)
					testTraffic(t, p)
					if w.h2 && upstream.origin.grpc != nil {
						testGRPC(t, p)
					}
				})
			}
		}
	}
}

func testTraffic(t *testing.T, p *passage) {
	for _, kind := range traffic {
		if kind.only == nil || kind.only(p.client.wire) {
			t.Run(kind.name, func(t *testing.T) { kind.test(t, p) })
		}
	}
}

func testRequestAndResponse(t *testing.T, p *passage) {
	body := strings.Repeat("body ", 500)
	target := "/a%20b/c/?q=1;2&r=%zz?"
	resp := p.client.do(t, p.client.request(t, "PUT", target, strings.NewReader(body)))
	p.kind.check(t, resp.Header)
	seen := hosttest.Decode(t, resp.Body)
	if seen.Method != "PUT" || seen.Target != target || seen.Host != p.client.host || seen.Body != body {
		t.Errorf("the origin saw %s %s of %s with %d bytes", seen.Method, seen.Target, seen.Host, len(seen.Body))
	}
	if want := int64(len(body)); !p.kind.readsBodies() && seen.Length != want {
		t.Errorf("length: got %d, want %d", seen.Length, want)
	}
	if p.kind == header && (seen.Header.Get("X-Edge") != "1" || seen.Header.Get("X-Consumer") != "tester" || seen.Header.Get("X-Api-Key") != "") {
		t.Errorf("the origin saw %v", seen.Header)
	}
	if p.kind.readsBodies() && (seen.Header.Get("X-Guest") == "" || seen.Trailer.Get("X-Guest-End") == "") {
		t.Errorf("the origin saw header %v and trailer %v, want the guest's marks", seen.Header, seen.Trailer)
	}
}

func testHead(t *testing.T, p *passage) {
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "12345") })
	resp := p.client.do(t, p.client.request(t, "HEAD", path, nil))
	p.kind.check(t, resp.Header)
	want := int64(12345)
	if p.kind.readsBodies() && !p.client.h2 {
		want = -1 // GET would be sent in chunks, for the guest's trailer
	}
	if body := all(t, resp.Body); resp.StatusCode != 200 || resp.ContentLength != want || body != "" {
		t.Errorf("got status %d, length %d, body %q", resp.StatusCode, resp.ContentLength, body)
	}
}

func testNoContent(t *testing.T, p *passage) {
	for _, status := range []int{204, 205, 304} {
		path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		resp, body := p.client.get(t, path)
		p.kind.check(t, resp.Header)
		if resp.StatusCode != status || body != "" {
			t.Errorf("got status %d and body %q, want %d without one", resp.StatusCode, body, status)
		}
	}
}

func testUnknownLength(t *testing.T, p *passage) {
	body := strings.Repeat("piece ", 2000)
	path := p.origin.at(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 && p.kind == plain {
			t.Errorf("length of the request: got %d, want it unknown", r.ContentLength)
		}
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		control.Flush()
		io.Copy(w, r.Body)
	})
	resp := p.client.do(t, p.client.request(t, "POST", path, io.NopCloser(strings.NewReader(body))))
	p.kind.check(t, resp.Header)
	if got := all(t, resp.Body); got != body {
		t.Errorf("got %d bytes back, want %d", len(got), len(body))
	}
}

// Trailers pass in both directions, announced or not, and policies add theirs.
func testTrailers(t *testing.T, p *passage) {
	path := p.origin.at(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		want := http.Header{"X-Sent": {"sent"}}
		if p.kind.readsBodies() {
			want.Set("X-Guest-End", "was here")
		}
		if !reflect.DeepEqual(r.Trailer, want) {
			t.Errorf("trailer of the request: got %v, want %v", r.Trailer, want)
		}
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "body")
		w.Header().Set("X-Announced", "a")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "b")
	})
	r := p.client.request(t, "POST", path, io.NopCloser(strings.NewReader("body")))
	r.Trailer = http.Header{"X-Sent": {"sent"}}
	resp := p.client.do(t, r)
	p.kind.check(t, resp.Header)
	all(t, resp.Body)
	want := http.Header{"X-Announced": {"a"}, "X-Unannounced": {"b"}}
	if p.kind.readsBodies() {
		want.Set("X-Guest-End", "was here")
	}
	if !reflect.DeepEqual(resp.Trailer, want) {
		t.Errorf("trailer of the response: got %v, want %v", resp.Trailer, want)
	}
}

// testExpectContinue sends a body only once it is asked for.
func testExpectContinue(t *testing.T, p *passage) {
	path := p.origin.at(hosttest.Echo)
	asked := false
	body := &lazyBody{Reader: strings.NewReader("body"), begin: func() {
		if !asked {
			t.Error("the body was read before 100 (Continue)")
		}
	}}
	r := p.client.request(t, "POST", path, body)
	r.Header = r.Header.Clone()
	r.Header.Set("Expect", "100-continue")
	r.ContentLength = 4
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked = true }}))
	resp := p.client.do(t, r)
	p.kind.check(t, resp.Header)
	if seen := hosttest.Decode(t, resp.Body); seen.Body != "body" {
		t.Errorf("the origin got %q", seen.Body)
	}
}

// lazyBody tells when reading begins.
type lazyBody struct {
	io.Reader
	begin func()
}

// Read follows io.Reader.
func (b *lazyBody) Read(p []byte) (int, error) {
	b.begin()
	return b.Reader.Read(p)
}

// testExpectRefused has the origin answer without a look at the body. Nobody
// sends it then, unless a policy wants to see it first; over HTTP/2 the host
// does not know of the expectation.
func testExpectRefused(t *testing.T, p *passage) {
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	mayAsk := p.kind.readsBodies() || p.client.h2
	if status := expectContinue(t, p, path, "", mayAsk); status != 403 {
		t.Errorf("status: got %d, want 403", status)
	}
}

// testExpectDenied has a policy answer: nobody asks for the body.
func testExpectDenied(t *testing.T, p *passage) {
	if p.kind == plain || p.kind == foreign {
		t.Skip("there is no policy that answers")
	}
	deny, want := "x-guest-do", 403
	switch p.kind {
	case header:
		deny, want = "x-api-key", 401
	case process:
		deny, want = "x-do", 418
	}
	if status := expectContinue(t, p, "/", deny, false); status != want {
		t.Errorf("status: got %d, want %d", status, want)
	}
}

// expectContinue sends a request with a body only if it is asked for, and
// returns the answer's status. The field deny gets the value "answer".
func expectContinue(t *testing.T, p *passage, path, deny string, mayAsk bool) (status int) {
	t.Helper()
	r := p.client.request(t, "POST", path, &lazyBody{Reader: strings.NewReader("body"), begin: func() {
		if !mayAsk {
			t.Error("the body was sent")
		}
	}})
	r.Header = r.Header.Clone()
	r.Header.Set("Expect", "100-continue")
	if deny != "" {
		r.Header.Set(deny, "answer")
	}
	r.ContentLength = 4
	return p.client.do(t, r).StatusCode
}

// testEarlyAnswer has the origin answer an upload that it does not want to see to
// its end: the client gets that answer, not the host's complaint.
func testEarlyAnswer(t *testing.T, p *passage) {
	if p.kind == whole {
		t.Skip("the policy wants to see it to its end")
	}
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(403)
		io.WriteString(w, "no more")
	})
	r := p.client.request(t, "POST", path, io.LimitReader(hosttest.Zeros{}, 4<<20))
	r.ContentLength = 4 << 20
	resp := p.client.do(t, r)
	p.kind.check(t, resp.Header)
	if body := all(t, resp.Body); resp.StatusCode != 403 || body != "no more" {
		t.Errorf("got status %d and %q", resp.StatusCode, body)
	}
}

// testEarlyHints reads 103 before the origin goes on.
func testEarlyHints(t *testing.T, p *passage) {
	arrived := make(chan http.Header, 2)
	path := p.origin.at(func(w http.ResponseWriter, r *http.Request) {
		for i := range 2 {
			w.Header().Add("Link", fmt.Sprintf("</%d.css>; rel=preload", i))
			w.WriteHeader(http.StatusEarlyHints)
			select {
			case h := <-arrived:
				if got := len(h["Link"]); got != i+1 {
					t.Errorf("links of hint %d: got %v", i, h["Link"])
				}
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(w, "done")
	})
	r := p.client.request(t, "GET", path, nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { arrived <- http.Header(h).Clone(); return nil },
	}))
	resp := p.client.do(t, r)
	p.kind.check(t, resp.Header)
	if body := all(t, resp.Body); body != "done" || len(resp.Header["Link"]) != 2 {
		t.Errorf("got %q with links %q", body, resp.Header["Link"])
	}
}

// testEvents reads each event before the origin sends the next one.
func testEvents(t *testing.T, p *passage) {
	next := make(chan string)
	path := p.origin.at(hosttest.Events(next).ServeHTTP)
	resp := p.client.do(t, p.client.request(t, "GET", path, nil))
	p.kind.check(t, resp.Header)
	for i := range 5 {
		text := fmt.Sprint("event ", i)
		next <- text
		expect(t, resp.Body, "data: "+text+"\n\n")
	}
	close(next)
	if rest := all(t, resp.Body); rest != "" {
		t.Errorf("after the last event: got %q", rest)
	}
}

// testBrokenResponse has the origin break off inside a body: no client may take
// what came for the whole. If a policy held the body nothing was sent yet, and
// the client is told cleanly.
func testBrokenResponse(t *testing.T, p *passage) {
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, strings.Repeat("x", 50000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := p.client.transport.RoundTrip(p.client.request(t, "GET", path, nil))
	if err != nil {
		return // it broke before net/http saw the head
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if p.kind == whole {
		if resp.StatusCode != 502 || string(body) != "502 Bad Gateway\n" {
			t.Errorf("got status %d and %.100q, want 502", resp.StatusCode, body)
		}
	} else if err == nil {
		t.Errorf("got %d bytes as if they were all", len(body))
	}
}

// testClientLeaves sees the origin's request end when the client goes away.
func testClientLeaves(t *testing.T, p *passage) {
	began, ended := make(chan struct{}), make(chan struct{})
	path := p.origin.at(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	})
	r := p.client.request(t, "GET", path, nil)
	failed := make(chan error, 1)
	ctx, cancel := withCancel(r)
	go func() {
		resp, err := p.client.transport.RoundTrip(r.WithContext(ctx))
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	<-began
	cancel()
	if err := <-failed; err == nil {
		t.Error("the client got an answer")
	}
	within(t, ended, "the origin's request ends")
}

func testHTTP10(t *testing.T, p *passage) {
	c := p.host.dial(t, p.client.wire)
	path := p.origin.at(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
			t.Errorf("the origin was asked by %s", r.Proto)
		}
		w.(http.Flusher).Flush() // no length: only the end of the connection ends the body
		io.WriteString(w, "old body")
	})
	c.send("GET " + path + " HTTP/1.0\r\nHost: " + p.client.host + "\r\nX-Api-Key: demo\r\n\r\n")
	head := c.head()
	if !strings.HasSuffix(head[0], " 200 OK") {
		t.Fatalf("got %q", head)
	}
	for _, line := range head[1:] {
		if name, _, _ := strings.Cut(strings.ToLower(line), ":"); name == "transfer-encoding" || name == "trailer" {
			t.Errorf("got %q, which HTTP/1.0 does not know", line)
		}
	}
	if body := all(t, c.r); body != "old body" {
		t.Errorf("body: got %q", body)
	}
}
