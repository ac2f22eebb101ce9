package http1_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
)

// TestRefusedRequestsAreAnswered shows that the client of a request that is
// refused reads why, whatever it goes on sending, and nothing behind it is taken
// for a request.
func TestRefusedRequestsAreAnswered(t *testing.T) {
	small := settings()
	small.Limits = message.Limits{HeaderBytes: 2 << 10, HeaderCount: 10}
	d := serve(t, small, func(x *exchange.Exchange) { t.Errorf("%s was let in", x.Request.Target) })
	const host = "Host: h\r\n"
	for _, test := range []struct {
		rule, request string
		status        int
	}{
		{"RFC 9112, 2.2: no bare LF", "GET / HTTP/1.1\n" + host + "\r\n", 400},
		{"RFC 9112, 3.2: Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"RFC 9112, 3.2: one Host", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
		{"RFC 9112, 3: length of the line", "GET /" + strings.Repeat("a", 4<<10) + " HTTP/1.1\r\n" + host + "\r\n", 414},
		{"RFC 9112, 5.1: no space before a colon", "GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n", 400},
		{"RFC 9112, 5.2: no folding", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", 400},
		{"RFC 9112, 6.1: unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"RFC 9112, 6.1: length and coding", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"RFC 9112, 6.3: one length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
		{"RFC 6585, 5: too large", "GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 4<<10) + "\r\n\r\n", 431},
		{"RFC 6585, 5: too many", "GET / HTTP/1.1\r\n" + host + strings.Repeat("a: b\r\n", 20) + "\r\n", 431},
		{"RFC 9110, 7.4: https in the clear", "GET https://h/ HTTP/1.1\r\n" + host + "\r\n", 421},
		{"RFC 9110, 9.3.6: CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 501},
		{"RFC 9110, 10.1.1: expectation", "POST / HTTP/1.1\r\n" + host + "Expect: x\r\nContent-Length: 1\r\n\r\na", 417},
		{"RFC 9110, 15.6.6: version", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
		{"RFC 9113, 3.4: not quite the preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", 505},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	} {
		t.Run(test.rule, func(t *testing.T) {
			p := d.dial(t)
			p.send(test.request + "GET /smuggled HTTP/1.1\r\n" + host + "\r\n")
			method, _, _ := strings.Cut(test.request, " ")
			resp, body := p.response(method)
			if want := fmt.Sprintf("%d %s\n", test.status, exchange.StatusText(test.status)); body != want || !resp.Close {
				t.Errorf("got %d %q, close %v, want %q", resp.StatusCode, body, resp.Close, want)
			}
			p.closed()
		})
	}
	t.Run("to HEAD without a body", func(t *testing.T) {
		p := d.dial(t)
		p.send("HEAD / HTTP/1.1\r\n\r\n")
		if resp, _ := p.response("HEAD"); resp.StatusCode != 400 || resp.ContentLength <= 0 {
			t.Errorf("got %d of %d bytes", resp.StatusCode, resp.ContentLength)
		}
		p.closed()
	})
}

func TestHeadThatDoesNotEnd(t *testing.T) {
	brief := settings()
	brief.HeaderTimeout = 50 * time.Millisecond
	d := serve(t, brief, func(x *exchange.Exchange) { t.Error("let in") })
	p := d.dial(t)
	p.send("GET / HTTP/1.1\r\nHo")
	if resp, _ := p.response("GET"); resp.StatusCode != 408 || !resp.Close {
		t.Errorf("got %d, close %v, want 408 and the end", resp.StatusCode, resp.Close)
	}
	p.closed()

	d.dial(t).closed() // without a byte: there is nothing to answer

	p = d.dial(t)
	p.send("GET / HTTP/1.1\r\nHo")
	p.closeWrite()
	p.closed()
}

func TestLargeHead(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		body, err := io.ReadAll(x.Request.Body)
		value := x.Request.Header.Value("X-Large")
		trailer := x.Request.Trailer.Value("X-Sum")
		answer(x, 200, fmt.Sprintf("%d%s %d %d %v", len(value), strings.Trim(value, "v"), len(body), len(trailer), err))
	})
	for _, size := range []int{100, 12 << 10, 15 << 10, 16 << 10, 17 << 10, 40 << 10} {
		head := "POST / HTTP/1.1\r\nHost: h\r\nX-Large: " + strings.Repeat("v", size) + "\r\n"
		p := d.dial(t)
		for _, test := range []struct {
			body string
			want string
		}{
			{"Content-Length: 20000\r\n\r\n" + strings.Repeat("b", 20000), "20000 0"},
			{"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("3\r\nabc\r\n", 9000) + "0\r\nX-Sum: " + strings.Repeat("s", 30000) + "\r\n\r\n", "27000 30000"},
		} {
			p.send(head + test.body)
			if _, got := p.response("POST"); got != fmt.Sprint(size, " ", test.want, " <nil>") {
				t.Errorf("head of %d: got %s, want %s", size, got, test.want)
			}
		}
	}
}

func TestPriorKnowledge(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	d := serve(t, settings(), func(x *exchange.Exchange) { t.Error("let in") })
	whole := d.dial(t)
	whole.send(preface + "more")
	if got := string(<-d.prior); !strings.HasPrefix(preface+"more", got) || len(got) < len(preface) {
		t.Errorf("got %q", got)
	}
	pieces := d.dial(t)
	for i := range preface {
		pieces.send(preface[i : i+1])
	}
	if got := string(<-d.prior); got != preface {
		t.Errorf("got %q", got)
	}
}

// waiting answers when the exchange's life has ended.
func waiting(began chan<- struct{}, ended chan<- error) func(x *exchange.Exchange) {
	return func(x *exchange.Exchange) {
		if x.Request.Body != nil {
			io.Copy(io.Discard, x.Request.Body)
		}
		began <- struct{}{}
		<-x.Life().Done()
		ended <- x.Life().Cause()
		if !x.Sink.(http1.Wire).Gone() {
			answer(x, 200, "")
		}
	}
}

func TestClientThatLeaves(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
	} {
		d := serve(t, settings(), waiting(began, ended))
		for name, leave := range map[string]func(p *peer){
			"closes":         func(p *peer) { p.Close() },
			"resets":         func(p *peer) { p.Conn.(*net.TCPConn).SetLinger(0); p.Close() },
			"ends to send":   func(p *peer) { p.closeWrite() },
			"is closed here": func(*peer) { d.Abort() },
		} {
			p := d.dial(t)
			p.send(request)
			<-began
			leave(p)
			if cause := <-ended; cause != context.Canceled {
				t.Errorf("a client %s: got %v, want %v", name, cause, context.Canceled)
			}
		}
	}
}

// overTLS serves TLS and returns what dials it.
func overTLS(t *testing.T, h func(x *exchange.Exchange)) func() *tls.Conn {
	ca := hosttest.NewCA(t)
	s := settings()
	s.Secure, s.Handler = true, carrier(h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &served{Server: s}
	d.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.open.Add(1)
			secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "h")}})
			go s.Serve(secured, describe(1, c), &owner{t, d})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.Abort()
		d.open.Wait()
	})
	return func() *tls.Conn {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
}

func TestClientOfTLSThatLeaves(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	dial := overTLS(t, waiting(began, ended))
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
	} {
		c := dial()
		io.WriteString(c, request)
		<-began
		c.Close()
		if cause := <-ended; cause != context.Canceled {
			t.Errorf("got %v, want %v", cause, context.Canceled)
		}
	}
}

// TestListeningTakesNothing has exchanges take so long that somebody listens for
// the client's end, and clients that send meanwhile.
func TestListeningTakesNothing(t *testing.T) {
	dial := overTLS(t, func(x *exchange.Exchange) {
		if x.Request.Target == "/slow" {
			<-time.After(2 * time.Second)
		}
		answer(x, 200, x.Request.Target)
	})
	for name, between := range map[string]string{"silent": "", "ahead": "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial()
			p := &peer{Conn: c, t: t, r: newReader(c)}
			p.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
			if between != "" {
				<-time.After(time.Second)
				p.send(between)
			}
			if _, got := p.response("GET"); got != "/slow" {
				t.Errorf("got %q", got)
			}
			if between == "" {
				p.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
			}
			if _, got := p.response("GET"); got != "/next" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	d := serve(t, settings(), func(x *exchange.Exchange) {
		if x.Request.Target == "/busy" {
			began <- struct{}{}
			<-goOn
		}
		answer(x, 200, "")
	})
	idle, busy, fresh := d.dial(t), d.dial(t), d.dial(t)
	idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	idle.response("GET")
	busy.send("GET /busy HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	d.Drain()
	idle.closed()
	fresh.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n") // was on its way
	if resp, _ := fresh.response("GET"); !resp.Close {
		t.Error("a request on a fresh connection: the response does not tell that it is the last")
	}
	fresh.closed()
	close(goOn)
	if resp, _ := busy.response("GET"); !resp.Close {
		t.Error("a busy connection: the response does not tell that it is the last")
	}
	busy.closed()
	d.dial(t).closed() // came after all
}
