package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
)

// carrier is a function as a Handler. It refuses as a host does.
type carrier func(x *exchange.Exchange)

func (f carrier) Carry(x *exchange.Exchange, w http1.Wire, refusal int) {
	if refusal != 0 {
		x.Fail(&exchange.Failure{Cause: exchange.CauseClient, Status: refusal})
		w.Send(x)
		return
	}
	f(x)
	if !w.Sent() {
		w.Break()
	}
}

// served is a server on a port of its own.
type served struct {
	*http1.Server
	addr  string
	open  sync.WaitGroup // connections
	prior chan []byte    // what connections of HTTP/2 began with
}

// owner is one connection's.
type owner struct {
	t testing.TB
	s *served
}

func (o *owner) Prior(early []byte) { o.s.prior <- early }

func (o *owner) Ended(panicked any) {
	if panicked != nil {
		o.t.Errorf("a connection ended by a panic: %v\n%s", panicked, debug.Stack())
	}
	o.s.open.Done()
}

// settings are those of a listener.
func settings() *http1.Server {
	return &http1.Server{
		Limits:        message.Limits{HeaderBytes: 64 << 10, HeaderCount: 128},
		HeaderTimeout: 10 * time.Second,
		IdleTimeout:   60 * time.Second,
		BodyTimeout:   60 * time.Second,
	}
}

// serve has h carry what comes to the server until the test ends.
func serve(t testing.TB, s *http1.Server, h func(x *exchange.Exchange)) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = carrier(h)
	d := &served{Server: s, addr: l.Addr().String(), prior: make(chan []byte, 10)}
	d.open.Go(func() {
		for id := uint64(1); ; id++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.open.Add(1)
			go s.Serve(c, describe(id, c), &owner{t, d})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.Abort()
		d.open.Wait()
	})
	return d
}

func describe(id uint64, c net.Conn) *exchange.Conn {
	addr := func(a net.Addr) netip.AddrPort {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort()
		}
		return netip.AddrPort{}
	}
	return &exchange.Conn{ID: id, Listener: "test", Remote: addr(c.RemoteAddr()), Local: addr(c.LocalAddr())}
}

// answer sends a response with a body of known length.
func answer(x *exchange.Exchange, status int, body string) error {
	x.Response.Status = status
	x.Response.Body = io.NopCloser(strings.NewReader(body))
	x.Response.Length = int64(len(body))
	return x.Sink.Send(x)
}

// peer is a connection that a test speaks HTTP/1.1 on byte by byte.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (d *served) dial(t testing.TB) *peer {
	t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{Conn: c, t: t, r: newReader(c)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

func (p *peer) closeWrite() { p.Conn.(*net.TCPConn).CloseWrite() }

// head reads lines up to an empty one.
func (p *peer) head() []string {
	p.t.Helper()
	var lines []string
	for {
		s, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("read line after %q: %v", s, err)
		}
		if s == "\r\n" {
			return lines
		}
		lines = append(lines, strings.TrimSuffix(s, "\r\n"))
	}
}

// response reads a response to a request of that method.
func (p *peer) response(method string) (*http.Response, string) {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("read response body: %v", err)
	}
	return resp, string(body)
}

// expect reads exactly want.
func (p *peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
		p.t.Fatalf("got %d bytes, %.200q, %v, want %.200q", n, got[:n], err, want)
	}
}

// closed fails unless the server ends the connection without a further byte.
func (p *peer) closed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); len(rest) > 0 {
		p.t.Errorf("got %q, %v before the end of the connection", rest, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		p.t.Error("the connection stays open")
	}
}

func newReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }
