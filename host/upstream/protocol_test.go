package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// wires are the ways to reach an endpoint.
var wires = []struct {
	name, protocol string
	tls, h1, h2    bool
	want           string
}{
	{name: "h1", protocol: "auto", h1: true, want: "HTTP/1.1"},
	{name: "h2c", protocol: "h2", h1: true, h2: true, want: "HTTP/2.0"},
	{name: "tls auto to both", protocol: "auto", tls: true, h1: true, h2: true, want: "HTTP/2.0"},
	{name: "tls auto to h1", protocol: "auto", tls: true, h1: true, want: "HTTP/1.1"},
	{name: "tls h1", protocol: "h1", tls: true, h1: true, h2: true, want: "HTTP/1.1"},
	{name: "tls h2", protocol: "h2", tls: true, h1: true, h2: true, want: "HTTP/2.0"},
}

// onEveryWire runs a test against an origin that is reached in each way.
func onEveryWire(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, set *Set, version string)) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(handler)
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(w.h1)
			s.Config.Protocols.SetHTTP2(w.h2 && w.tls)
			s.Config.Protocols.SetUnencryptedHTTP2(w.h2 && !w.tls)
			s.EnableHTTP2 = w.h2
			if w.tls {
				s.StartTLS()
			} else {
				s.Start()
			}
			t.Cleanup(s.Close)
			up := settings(s.URL)
			up.Protocol = w.protocol
			up.TLS = &manifest.UpstreamTLS{Insecure: true}
			test(t, build(t, registry(t), up), w.want)
		})
	}
}

func TestWires(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q %v", r.Proto, r.Method, r.RequestURI, body, err)
	}
	onEveryWire(t, handler, func(t *testing.T, set *Set, version string) {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			x := ask(method, "/p?q", "")
			if method == "POST" || method == "PUT" {
				x = ask(method, "/p?q", "content")
			}
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			want := fmt.Sprintf("%s %s /p?q %q <nil>", version, method, "")
			if x.Request.Body != nil {
				want = fmt.Sprintf("%s %s /p?q %q <nil>", version, method, "content")
			}
			if got := read(t, x); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		x := ask("HEAD", "/", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		if x.Response.Body != nil || x.Response.Length <= 0 {
			t.Errorf("HEAD: got body %v and length %d, want the length that GET would have", x.Response.Body, x.Response.Length)
		}
		if got := set.registry.Status()[0].InFlight; got != 0 {
			t.Errorf("in flight: got %d, want 0", got)
		}
	})
}

// Nothing is added to a request, nothing is put in another order or spelling, and
// what frames it is ours alone.
func TestRequestIsSentAsItIs(t *testing.T) {
	lines := make(chan string, 1)
	url := raw(t, func(c net.Conn, _ int) {
		lines <- head(c)
		io.WriteString(c, okAnswer)
	})
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	for _, f := range []exchange.Field{
		{Name: "x-b", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "x-B", Value: "3"}, {Name: "sec-ch-ua", Value: `"a";v="1"`},
		{Name: "content-length", Value: "77"}, {Name: "Transfer-Encoding", Value: "chunked"}, {Name: "TE", Value: "trailers"},
		{Name: "Keep-Alive", Value: "timeout=5"},
	} {
		x.Request.Header.Add(f.Name, f.Value)
	}
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	read(t, x)
	want := "GET / HTTP/1.1\r\nHost: site.example\r\nx-b: 1\r\nX-A: 2\r\nx-B: 3\r\nsec-ch-ua: \"a\";v=\"1\"\r\n" +
		"TE: trailers\r\nConnection: TE\r\n\r\n"
	if got := <-lines; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A response's fields come in the endpoint's order and spelling.
func TestResponseIsPassedOnAsItIs(t *testing.T) {
	url := raw(t, once("HTTP/1.1 200 OK\r\nx-b: 1\r\nX-A: 2\r\nContent-Length: 2\r\nx-B: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok"))
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	want := []exchange.Field{{Name: "x-b", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "Content-Length", Value: "2"},
		{Name: "x-B", Value: "3"}, {Name: "Set-Cookie", Value: "a=1"}, {Name: "Set-Cookie", Value: "b=2"}}
	if got := x.Response.Header.Fields(); !slices.Equal(got, want) || x.Response.Version != exchange.HTTP11 {
		t.Errorf("got %v of %v, want %v", got, x.Response.Version, want)
	}
	if got := read(t, x); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestTargetIsSentAsItIs(t *testing.T) {
	onEveryWire(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Uri", r.RequestURI) },
		func(t *testing.T, set *Set, _ string) {
			for _, target := range []string{"/", "/?", "/a/../b", "/%41%2f%2F", "//double//slash?x=//y", "/a;b=c", "/?a=b&c=%zz", "/ü"} {
				x := ask("GET", target, "")
				if f := set.Forward(x, "up"); f != nil {
					t.Errorf("%s: %v", target, f)
					continue
				}
				if got := x.Response.Header.Value("x-uri"); got != target {
					t.Errorf("got %s, want %s", got, target)
				}
				read(t, x)
			}
		})
}

func TestRequestThatCannotBeWritten(t *testing.T) {
	s := origin(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it was sent") })
	set := build(t, registry(t), settings(s.URL))
	change := map[string]func(*exchange.Request){
		"line break in target":  func(r *exchange.Request) { r.Target = "/ HTTP/1.1\r\nX: y\r\n\r\n" },
		"space in target":       func(r *exchange.Request) { r.Target = "/a b" },
		"no path":               func(r *exchange.Request) { r.Target = "http://elsewhere/" },
		"fragment in target":    func(r *exchange.Request) { r.Target = "/a#b" },
		"line break in upgrade": func(r *exchange.Request) { r.Upgrade = "a\r\nb: c" },
		"CONNECT":               func(r *exchange.Request) { r.Method = "CONNECT" },
		"line break in method":  func(r *exchange.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" },
		"line break in value":   func(r *exchange.Request) { r.Header.Add("a", "b\r\nc: d") },
		"line break in name":    func(r *exchange.Request) { r.Header.Add("a\r\nb", "c") },
		"space in name":         func(r *exchange.Request) { r.Header.Add("a b", "c") },
		"line break in host":    func(r *exchange.Request) { r.Authority = "a\r\nb: c" },
	}
	for name, c := range change {
		x := ask("GET", "/", "")
		c(&x.Request)
		f := set.Forward(x, "up")
		if f == nil || f.Cause != exchange.CauseClient || f.Status != 400 {
			t.Errorf("%s: got %v, want the client's fault", name, f)
		}
	}
}

func TestHostOfTheRequest(t *testing.T) {
	s := origin(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Host", r.Host) })
	own := strings.TrimPrefix(s.URL, "http://")
	for conf, want := range map[string]string{"client": "site.example", "endpoint": own, "fixed.example:1": "fixed.example:1"} {
		up := settings(s.URL)
		up.Host = conf
		x := ask("GET", "/", "")
		if f := build(t, registry(t), up).Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		if got := x.Response.Header.Value("x-host"); got != want {
			t.Errorf("%s: got %s, want %s", conf, got, want)
		}
	}
	x := ask("GET", "/", "")
	x.Request.Authority = "" // HTTP/1.0 without Host
	if f := build(t, registry(t), settings(s.URL)).Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if got := x.Response.Header.Value("x-host"); got != own {
		t.Errorf("no authority: got %s, want the endpoint's own", got)
	}
}

func TestTrailers(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		io.Copy(w, r.Body)
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "2")
		w.Header().Set(http.TrailerPrefix+"X-Request-Trailer", r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"Content-Length", "5")
	}
	onEveryWire(t, handler, func(t *testing.T, set *Set, _ string) {
		x := ask("POST", "/", "content")
		x.Request.Length = exchange.UnknownLength
		x.Request.Trailer.Add("x-sum", "77")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		if got, want := x.Response.Trailer.Fields(), []exchange.Field{{Name: "X-Announced"}}; !slices.Equal(got, want) {
			t.Errorf("trailers before the end of the body: got %v, want %v", got, want)
		}
		if got := read(t, x); got != "content" {
			t.Errorf("got %q", got)
		}
		tr := &x.Response.Trailer
		if tr.Value("x-announced") != "1" || tr.Value("x-surprise") != "2" || tr.Value("x-request-trailer") != "77" {
			t.Errorf("got trailers %v", tr.Fields())
		}
		if tr.Has("content-length") {
			t.Error("a trailer that frames the message was passed on")
		}
	})
}

func TestInformationalResponses(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.WriteHeader(103)
		w.Header().Set("Link", "</b.css>")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.WriteHeader(204)
	}
	onEveryWire(t, handler, func(t *testing.T, set *Set, _ string) {
		x := ask("GET", "/", "")
		sink := &recorder{}
		x.Sink = sink
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		if want := []string{"Error</a.css>", "Error</b.css>"}; !slices.Equal(sink.informed, want) {
			t.Errorf("got %q, want %q", sink.informed, want)
		}
		if x.Response.Status != 204 || x.Response.Body != nil || x.Response.Header.Has("link") {
			t.Errorf("got %d, body %v, fields %v", x.Response.Status, x.Response.Body, x.Response.Header.Fields())
		}
	})
}

func TestHopByHopFieldsStay(t *testing.T) {
	url := raw(t, once("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"+
		"Proxy-Connection: x\r\nUpgrade: h2c\r\nX-Yours: 2\r\nContent-Length: 0\r\n\r\n"))
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	for _, f := range x.Response.Header.Fields() {
		if f.Name != "X-Yours" && f.Name != "Content-Length" {
			t.Errorf("%s was passed on", f.Name)
		}
	}
}

// The client asks before it sends; what it asks is for the endpoint to answer.
func TestExpectContinue(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		t.Run(fmt.Sprintf("refuse=%v", refuse), func(t *testing.T) {
			s := origin(t, func(w http.ResponseWriter, r *http.Request) {
				if refuse {
					w.Header().Set("Connection", "close")
					w.WriteHeader(417)
					return
				}
				io.Copy(w, r.Body)
			})
			set := build(t, registry(t), settings(s.URL))
			x := ask("POST", "/", "content")
			body := &watched{Reader: strings.NewReader("content")}
			x.Request.Body = body
			x.Request.Header.Add("expect", "100-continue")
			if f := set.Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			got := read(t, x)
			if refuse && (x.Response.Status != 417 || body.wasRead()) {
				t.Errorf("refused: got %d, body read: %v", x.Response.Status, body.wasRead())
			}
			if !refuse && got != "content" {
				t.Errorf("accepted: got %q", got)
			}
		})
	}
}

type watched struct {
	io.Reader
	mu   sync.Mutex
	read bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.mu.Lock()
	w.read = true
	w.mu.Unlock()
	return w.Reader.Read(p)
}

func (w *watched) wasRead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read
}

func (*watched) Close() error { return nil }

// upgrading switches to a protocol that repeats lines, and says "bye" when the
// client has ended its side.
func upgrading(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		io.WriteString(w, r.Proto)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Extra: 1\r\n\r\nhello\n", r.Header.Get("Upgrade"))
	rw.Flush()
	io.Copy(c, rw)
	io.WriteString(c, "bye")
}

func TestUpgrade(t *testing.T) {
	onEveryWire(t, upgrading, func(t *testing.T, set *Set, version string) {
		x := ask("GET", "/", "")
		x.Request.Upgrade = "websocket"
		f := set.Forward(x, "up")
		if set.pools["up"].conf.Protocol == "h2" {
			if f == nil || f.Cause != exchange.CauseProtocol {
				t.Errorf("got %v, want a clear refusal", f)
			}
			return
		}
		if f != nil {
			t.Fatal(f)
		}
		if x.Response.Status != 101 || x.Response.Header.Value("upgrade") != "websocket" || x.Response.Header.Value("x-extra") != "1" {
			t.Fatalf("got %d %v", x.Response.Status, x.Response.Header.Fields())
		}
		tunnel := x.Response.Tunnel
		lines := bufio.NewReader(tunnel)
		if line, _ := lines.ReadString('\n'); line != "hello\n" {
			t.Errorf("got %q: bytes behind the head were lost", line)
		}
		io.WriteString(tunnel, "ping\n")
		if line, _ := lines.ReadString('\n'); line != "ping\n" {
			t.Errorf("got %q", line)
		}
		if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(lines); string(rest) != "bye" || err != nil {
			t.Errorf("after half-close: got %q, %v", rest, err)
		}
		if got := set.registry.Status()[0].InFlight; got != 1 {
			t.Errorf("in flight while open: got %d", got)
		}
		tunnel.Close()
		tunnel.Close()
		if got := set.registry.Status()[0].InFlight; got != 0 {
			t.Errorf("in flight after Close: got %d", got)
		}
		if _, body := get(t, set, "/"); body != version {
			t.Errorf("an ordinary request then: got %s, want %s", body, version)
		}
	})
}

func TestUpgradeToAnotherProtocol(t *testing.T) {
	url := raw(t, once("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"))
	set := build(t, registry(t), settings(url))
	x := ask("GET", "/", "")
	x.Request.Upgrade = "websocket"
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseProtocol {
		t.Errorf("got %v", f)
	}
}

// Both directions of a stream are open at once, and the response begins first.
func TestBidirectionalStream(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		control.Flush()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(w, strings.ToUpper(line))
			control.Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
	onEveryWire(t, handler, func(t *testing.T, set *Set, _ string) {
		x := ask("POST", "/", "")
		reader, writer := io.Pipe()
		x.Request.Body, x.Request.Length = reader, exchange.UnknownLength
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		lines := bufio.NewReader(x.Response.Body)
		for _, word := range []string{"one\n", "two\n", "three\n"} {
			io.WriteString(writer, word)
			if got, err := lines.ReadString('\n'); got != strings.ToUpper(word) {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		writer.Close()
		if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
			t.Errorf("got %q, %v", rest, err)
		}
		if got := x.Response.Trailer.Value("grpc-status"); got != "0" {
			t.Errorf("grpc-status: got %q", got)
		}
	})
}

// An endpoint that shuts down refuses streams that it did not begin, and one
// that is busy may refuse any: those can be sent again whatever they are.
func TestRefusedStreamsAreSentAgain(t *testing.T) {
	streams := new(atomic.Int32)
	url := raw(t, func(c net.Conn, _ int) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		framer := http2.NewFramer(c, c)
		framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			h, ok := frame.(*http2.HeadersFrame)
			if !ok {
				continue
			}
			switch streams.Add(1) {
			case 1:
				framer.WriteGoAway(0, http2.ErrCodeNo, nil)
			case 2:
				framer.WriteRSTStream(h.StreamID, http2.ErrCodeRefusedStream)
			default:
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, EndHeaders: true, EndStream: true,
					BlockFragment: []byte{0x88}}) // ":status 200" of the static table
			}
		}
	})
	up := settings(url)
	up.Protocol = "h2"
	up.Connections.Max = 1
	set := build(t, registry(t), up)
	for n := range int32(3) {
		if f := set.Forward(ask("POST", "/", "x"), "up"); f != nil {
			t.Fatal(f)
		}
		if got := streams.Load(); got != n+3 {
			t.Errorf("got %d streams, want %d", got, n+3)
		}
	}
}

func TestLargeBodiesBothWays(t *testing.T) {
	const size = 16 << 20
	onEveryWire(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	}, func(t *testing.T, set *Set, _ string) {
		x := ask("POST", "/", "")
		x.Request.Body, x.Request.Length = io.NopCloser(io.LimitReader(pattern{}, size)), size
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		x.SetContext(ctx)
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		n, err := io.Copy(io.Discard, x.Response.Body)
		if n != size || err != nil {
			t.Errorf("got %d bytes, %v, want %d", n, err, size)
		}
		x.Response.Body.Close()
	})
}
