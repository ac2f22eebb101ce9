package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/server"
)

const upgradeRequest = "GET /t HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// switching returns a handler that answers 101 with its end of a connection,
// and the channel on which the test gets the other end.
func switching(t testing.TB, sent chan<- error) (handlerFunc, <-chan *net.TCPConn) {
	far := make(chan *net.TCPConn, 1)
	addr := hosttest.Raw(t, func(c net.Conn) {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		far <- c.(*net.TCPConn)
		<-t.Context().Done()
	})
	return func(x *exchange.Exchange) {
		tunnel, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		x.Response.Status, x.Response.Tunnel = 101, tunnel
		x.Response.Header.Add("x-Odd-CASE", "1")
		x.Response.Header.Add("Upgrade", "Echo/2")
		x.Response.Header.Add("Sec-Thing", "b")
		x.Response.Header.Add("A-Last", "c")
		sent <- x.Sink.Send(x)
	}, far
}

func TestSwitchingProtocols(t *testing.T) {
	sent := make(chan error, 1)
	handler, far := switching(t, sent)
	c := dial(t, start(t, handler, settings()))
	c.send(upgradeRequest + "early bytes,") // some may be read along with the head
	want := []string{"HTTP/1.1 101 Switching Protocols", "x-Odd-CASE: 1", "Sec-Thing: b", "A-Last: c", "Connection: Upgrade", "Upgrade: Echo/2"}
	if got := c.head(); !slices.Equal(got, want) {
		t.Errorf("head:\n got %q\nwant %q", got, want)
	}
	upstream := <-far
	c.send("late bytes")
	expect(t, upstream, "early bytes,late bytes")
	io.WriteString(upstream, "answer")
	expect(t, c.r, "answer")

	c.CloseWrite() // one direction ends, the other goes on
	if n, err := upstream.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("upstream after the client's half-close: got %d bytes, %v, want EOF", n, err)
	}
	io.WriteString(upstream, "more")
	expect(t, c.r, "more")
	upstream.CloseWrite()
	c.closed()
	if err := <-sent; err != nil {
		t.Errorf("send: got %v", err)
	}
}

func TestUpstreamHalfClosesFirst(t *testing.T) {
	sent := make(chan error, 1)
	handler, far := switching(t, sent)
	c := dial(t, start(t, handler, settings()))
	c.send(upgradeRequest)
	c.head()
	upstream := <-far
	io.WriteString(upstream, "bye")
	upstream.CloseWrite()
	expect(t, c.r, "bye")
	c.closed()
	c.send("still here")
	c.CloseWrite()
	if got, err := io.ReadAll(upstream); string(got) != "still here" || err != nil {
		t.Errorf("upstream: got %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send: got %v", err)
	}
}

func TestTunnelWithoutHalfCloseEndsWhole(t *testing.T) {
	near, far := net.Pipe() // has no CloseWrite
	sent := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Tunnel = 101, near
		sent <- x.Sink.Send(x)
	}, settings())
	c := dial(t, addr)
	c.send(upgradeRequest)
	if got := c.head(); !slices.Contains(got, "Upgrade: echo") {
		t.Errorf("head: got %q, want the protocol asked for", got)
	}
	c.CloseWrite()
	if n, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("upstream: got %d bytes, %v, want EOF", n, err)
	}
	c.closed()
	<-sent
}

func TestBrokenTunnelEndsBothSides(t *testing.T) {
	sent := make(chan error, 1)
	handler, far := switching(t, sent)
	c := dial(t, start(t, handler, settings()))
	c.send(upgradeRequest)
	c.head()
	upstream := <-far
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if _, err := io.ReadAll(upstream); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("upstream saw %v", err) // a reset is as good as an end
	}
	if err := <-sent; !errors.As(err, new(*exchange.SendError)) {
		t.Errorf("send: got %v, want a SendError", err)
	}
}

func TestTunnelEndsWithItsContext(t *testing.T) {
	near, _ := net.Pipe()
	cancelled, cancel := context.WithCancel(context.Background())
	addr := start(t, func(x *exchange.Exchange) {
		x.SetContext(cancelled)
		x.Response.Status, x.Response.Tunnel = 101, near
		x.Sink.Send(x)
	}, settings())
	c := dial(t, addr)
	c.send(upgradeRequest)
	c.head()
	cancel()
	c.closed()
}

func TestSwitchingNobodyAskedFor(t *testing.T) {
	near, far := net.Pipe()
	failures := make(chan *exchange.Failure, 1)
	addr := start(t, func(x *exchange.Exchange) {
		x.Response.Status, x.Response.Tunnel = 101, near
		x.Sink.Send(x)
		failures <- x.Failure
	}, settings())
	resp, err := client(t, false).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if f := <-failures; resp.StatusCode != 502 || f == nil || f.Cause != exchange.CauseProtocol {
		t.Errorf("got %d, failure %v, want 502 for a breach of protocol", resp.StatusCode, f)
	}
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("upstream: got %v, want the tunnel closed", err)
	}
}

func TestWebSocket(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.WebSocket))
	addr := start(t, proxyTo(t, backend.URL), settings())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for _, message := range []string{"hello", "", strings.Repeat("x", 30000)} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); string(got) != message || err != nil {
			t.Fatalf("echo: got %d bytes, %v, want %d", len(got), err, len(message))
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestShutdownWaitsForTunnels first lets a tunnel end by itself, then not.
func TestShutdownWaitsForTunnels(t *testing.T) {
	for _, polite := range []bool{true, false} {
		sent := make(chan error, 1)
		handler, far := switching(t, sent)
		s := server.New(handler, server.Options{Log: logTo(t)})
		apply(t, s, settings())
		c := dial(t, s.Addrs()["test"].String())
		c.send(upgradeRequest)
		c.head()
		upstream := <-far

		ctx, cancel := context.WithCancel(context.Background())
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(ctx) }()
		refused(t, c.RemoteAddr().String())
		io.WriteString(upstream, "still")
		expect(t, c.r, "still")
		if polite {
			upstream.CloseWrite()
			c.CloseWrite()
			if err := <-down; err != nil {
				t.Errorf("shutdown: got %v", err)
			}
		} else {
			cancel()
			if err := <-down; !errors.Is(err, context.Canceled) {
				t.Errorf("shutdown: got %v, want the context's error", err)
			}
		}
		cancel()
		<-sent
		if n := s.Connections(); n != 0 {
			t.Errorf("after shutdown: got %d connections", n)
		}
	}
}

// refused waits until nobody listens at addr.
func refused(t testing.TB, addr string) {
	t.Helper()
	hosttest.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	}, "no new connection is accepted")
}

// expect reads exactly want.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// proxyTo is the simplest proxy there is, for what only shows end to end.
func proxyTo(t testing.TB, url string) handlerFunc {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return proxyBy(transport, url)
}

func proxyBy(transport *http.Transport, url string) handlerFunc {
	return func(x *exchange.Exchange) {
		out, err := http.NewRequestWithContext(x.Context(), x.Request.Method, url+x.Request.Target, x.Request.Body)
		if err != nil {
			answer(x, 500, err.Error())
			return
		}
		out.ContentLength = x.Request.Length
		copyFields(out.Header, &x.Request.Header)
		if x.Request.Upgrade != "" {
			out.Header.Set("Connection", "Upgrade")
			out.Header.Set("Upgrade", x.Request.Upgrade)
		}
		resp, err := transport.RoundTrip(out)
		if err != nil {
			answer(x, 502, err.Error())
			return
		}
		takeResponse(x, resp)
		x.Sink.Send(x)
	}
}

func copyFields(to http.Header, from *exchange.Header) {
	for _, f := range from.Fields() {
		to.Add(f.Name, f.Value)
	}
}

// takeResponse makes the exchange's response of net/http's.
func takeResponse(x *exchange.Exchange, resp *http.Response) {
	r := &x.Response
	r.Status, r.Body, r.Length = resp.StatusCode, resp.Body, resp.ContentLength
	for name, values := range resp.Header {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	if resp.StatusCode == 101 {
		r.Body, r.Length, r.Tunnel = nil, 0, resp.Body.(io.ReadWriteCloser)
		return
	}
	exchange.RemoveHopByHop(&r.Header)
	for name := range resp.Trailer {
		r.Trailer.Add(name, "")
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(resp.Body, atEnd(func() {
		r.Trailer.Reset()
		for name, values := range resp.Trailer {
			r.Trailer.Add(name, values[0])
		}
	})), resp.Body}
}
