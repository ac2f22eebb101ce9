package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
)

// named are settings for a listener of that name.
func named(name string) manifest.Listener {
	s := settings()
	s.Name = name
	return s
}

// newServer makes a server that answers with the listener's name.
func newServer(t testing.TB) *server.Server {
	s := server.New(handlerFunc(func(x *exchange.Exchange) {
		if x.Request.Body != nil {
			io.Copy(io.Discard, x.Request.Body)
		}
		answer(x, 200, x.Conn.Listener)
	}), server.Options{Log: logTo(t)})
	stopAtEnd(t, s)
	return s
}

func (c *rawConn) get() string {
	c.t.Helper()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	_, body := c.response("GET")
	return body
}

func TestChangeTouchesNothingThatIsKept(t *testing.T) {
	s := newServer(t)
	a, b := named("a"), named("b")
	apply(t, s, a, b)
	before := s.Addrs()
	onA, onB := dial(t, before["a"].String()), dial(t, before["b"].String())
	onA.get()
	onB.get()

	stricter := a
	stricter.Limits.HeaderCount = 3
	c := named("c")
	apply(t, s, b, c, stricter)
	after := s.Addrs()
	if len(after) != 3 || after["a"].String() != before["a"].String() || after["b"].String() != before["b"].String() {
		t.Fatalf("addresses: got %v, want those of a and b as in %v", after, before)
	}
	for _, conn := range []*rawConn{onA, onB, dial(t, after["c"].String())} {
		conn.get()
	}
	tooMuch := "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n"
	onA.send(tooMuch)
	if resp, _ := onA.response("GET"); resp.StatusCode != 200 {
		t.Errorf("a connection from before: got %d, want 200 as it came under other limits", resp.StatusCode)
	}
	newOnA := dial(t, after["a"].String())
	newOnA.send(tooMuch)
	if resp, _ := newOnA.response("GET"); resp.StatusCode != 431 {
		t.Errorf("a new connection: got %d, want 431", resp.StatusCode)
	}
}

func TestRemovedListenerDrains(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	s := server.New(handlerFunc(func(x *exchange.Exchange) {
		close(began)
		<-goOn
		answer(x, 200, "late")
	}), server.Options{Log: logTo(t)})
	stopAtEnd(t, s)
	apply(t, s, named("a"))
	addr := s.Addrs()["a"].String()
	c := dial(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	apply(t, s)
	refused(t, addr)
	close(goOn)
	if _, body := c.response("GET"); body != "late" {
		t.Errorf("got %q, want the exchange to end in order", body)
	}
	c.closed() // told beforehand or not
}

func TestAbortGivesBack(t *testing.T) {
	s := newServer(t)
	apply(t, s, named("a"))
	fixed := named("b")
	fixed.Address = freeAddress(t)
	change, err := s.Prepare([]manifest.Listener{fixed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare([]manifest.Listener{fixed}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("while the change is open: got %v, want the address taken", err)
	}
	change.Abort()
	refused(t, fixed.Address)
	if got := dial(t, s.Addrs()["a"].String()).get(); got != "a" {
		t.Errorf("the running listener: got %q", got)
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestProblemsNameTheListener(t *testing.T) {
	s := newServer(t)
	taken := named("taken")
	apply(t, s, taken)
	clash, wrong := named("clash"), named("wrong")
	clash.Address = s.Addrs()["taken"].String()
	wrong.Address = "256.0.0.1:1"
	_, err := s.Prepare([]manifest.Listener{taken, clash, wrong})
	var problems server.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	for i, want := range []string{"listener[1].address: ", "listener[2].address: "} {
		if got := problems[i].Error(); !strings.HasPrefix(got, want) {
			t.Errorf("problem %d: got %q, want %q at its start", i, got, want)
		}
	}
}

func TestConnectionBounds(t *testing.T) {
	s := newServer(t)
	a, b := named("a"), named("b")
	a.Limits.Connections = 2
	apply(t, s, a, b)
	s.SetMaxConnections(3)
	addrs := s.Addrs()
	one, two := dial(t, addrs["a"].String()), dial(t, addrs["a"].String())
	one.get()
	two.get()
	dial(t, addrs["a"].String()).closed() // the listener's bound
	dial(t, addrs["b"].String()).get()
	dial(t, addrs["b"].String()).closed() // the server's
	if n := s.Refused(); n != 2 {
		t.Errorf("refused: got %d connections, want 2", n)
	}
	one.Close()
	hosttest.Eventually(t, func() bool { return s.Connections() == 2 }, "a closed connection is counted out")
	dial(t, addrs["a"].String()).get()
}

func TestIdleConnectionEnds(t *testing.T) {
	brief := settings()
	brief.Limits.IdleTimeout = manifest.Duration(50 * time.Millisecond)
	c := dial(t, start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, brief))
	c.get()
	c.closed()
}

func TestSlowHeadEnds(t *testing.T) {
	brief := settings()
	brief.Limits.HeaderTimeout = manifest.Duration(50 * time.Millisecond)
	c := dial(t, start(t, func(x *exchange.Exchange) { t.Error("let in") }, brief))
	c.send("GET / HTTP/1.1\r\nHos")
	if rest, err := io.ReadAll(c.r); err != nil || strings.Contains(string(rest), " 200 ") {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	few := settings()
	few.Limits.Streams = 7
	c := dialH2(t, start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, few))
	if got := c.maxStreams(); got != 7 {
		t.Errorf("streams offered: got %d, want 7", got)
	}
}

func TestShutdownLetsExchangesEnd(t *testing.T) {
	began, goOn := make(chan struct{}, 2), make(chan struct{})
	s := server.New(handlerFunc(func(x *exchange.Exchange) {
		began <- struct{}{}
		<-goOn
		answer(x, 200, "done")
	}), server.Options{Log: logTo(t)})
	apply(t, s, settings())
	addr := s.Addrs()["test"].String()
	idle, busy := dial(t, addr), dial(t, addr)
	busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	h2 := dialH2(t, addr)
	h2.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
	<-began

	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	refused(t, addr)
	idle.Close()
	close(goOn)
	if resp, body := busy.response("GET"); body != "done" || !resp.Close {
		t.Errorf("h1: got %q, close %v, want the answer and the end", body, resp.Close)
	}
	if got := h2.statusBeforeGoAway(1); got != "200" {
		t.Errorf("h2: got status %s, want 200", got)
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: got %v", err)
	}
	if _, err := s.Prepare(nil); !errors.Is(err, server.ErrClosed) {
		t.Errorf("prepare after shutdown: got %v, want ErrClosed", err)
	}
}

func TestShutdownDeadlineIsHard(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	s := server.New(handlerFunc(func(x *exchange.Exchange) {
		close(began)
		<-x.Context().Done() // the client's connection is closed
		close(ended)
	}), server.Options{Log: logTo(t)})
	apply(t, s, settings())
	c := dial(t, s.Addrs()["test"].String())
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: got %v, want the context's error", err)
	}
	<-ended
}

// TestChangesUnderLoad hammers changes while clients come and go: no exchange
// may fail on a listener that stays.
func TestChangesUnderLoad(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	s := newServer(t)
	kept := named("kept")
	kept.Address = freeAddress(t)
	apply(t, s, kept)
	stop := make(chan struct{})
	var visits atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := exchanges(kept.Address, 1+n%3); err != nil {
					t.Errorf("exchange: %v", err)
					return
				}
				visits.Add(1)
			}
		})
	}
	for i := range 100 {
		kept.Limits.HeaderCount = 100 + i%2 // other settings, same socket
		apply(t, s, kept, named(fmt.Sprint("other", i)))
		hosttest.Eventually(t, func() bool { return visits.Load() >= int64(i) || t.Failed() }, "clients are served between changes")
	}
	close(stop)
	clients.Wait()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	hosttest.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines }, "all goroutines end")
}

// exchanges makes a connection and sends that many requests on it.
func exchanges(addr string, count int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	for range count {
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "kept" || err != nil {
			return fmt.Errorf("got %d %q, %w", resp.StatusCode, body, err)
		}
	}
	return nil
}
