package http1_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

const upgradeRequest = "GET /t HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// lentTunnel is a tunnel over a plain connection, of which something was read
// before.
type lentTunnel struct {
	*socket.Conn
	memory []byte
}

func (l *lentTunnel) SpliceSource() (*socket.Conn, []byte, int64, bool) {
	return l.Conn, l.memory, exchange.UnknownLength, true
}

func (l *lentTunnel) Spliced(n int64, _ error) { l.memory = l.memory[n:] }

// hiddenTunnel is one of which nothing more is known.
type hiddenTunnel struct{ c net.Conn }

func (h hiddenTunnel) Read(p []byte) (int, error)  { return h.c.Read(p) }
func (h hiddenTunnel) Write(p []byte) (int, error) { return h.c.Write(p) }
func (h hiddenTunnel) Close() error                { return h.c.Close() }
func (h hiddenTunnel) CloseWrite() error           { return h.c.(*net.TCPConn).CloseWrite() }

var tunnels = []struct {
	name   string
	before string // what comes before all else
	wrap   func(c net.Conn) io.ReadWriteCloser
}{
	{"lent", "memory", func(c net.Conn) io.ReadWriteCloser {
		return &lentTunnel{socket.New(c), []byte("memory")}
	}},
	{"hidden", "", func(c net.Conn) io.ReadWriteCloser { return hiddenTunnel{c} }},
}

// joined returns both ends of a tunnel through a server, and what its Send
// returned.
func joined(t *testing.T, wrap func(c net.Conn) io.ReadWriteCloser, early string) (client *peer, upstream *net.TCPConn, sent <-chan error) {
	t.Helper()
	far, result := make(chan *net.TCPConn, 1), make(chan error, 1)
	addr := hosttest.Raw(t, func(c net.Conn) {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		far <- c.(*net.TCPConn)
		<-t.Context().Done()
	})
	d := serve(t, settings(), func(x *exchange.Exchange) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		x.Response.Status, x.Response.Tunnel = 101, wrap(c)
		result <- x.Sink.Send(x)
	})
	client = d.dial(t)
	client.send(upgradeRequest + early)
	if got := client.head(); got[0] != "HTTP/1.1 101 Switching Protocols" {
		t.Fatalf("got %q", got)
	}
	return client, <-far, result
}

// TestTunnel sends small messages and then, in both directions at once, so much
// that the kernel moves it; then one direction ends, and the other goes on.
func TestTunnel(t *testing.T) {
	for _, kind := range tunnels {
		t.Run(kind.name, func(t *testing.T) {
			client, upstream, sent := joined(t, kind.wrap, "early,")
			client.expect(kind.before)
			client.send("late")
			expectFrom(t, upstream, "early,late")
			io.WriteString(upstream, "answer")
			client.expect("answer")

			text := pattern(2 << 20)
			go io.WriteString(client, text)
			go io.WriteString(upstream, text)
			up := make(chan struct{})
			go func() {
				defer close(up)
				expectFrom(t, upstream, text)
			}()
			client.expect(text)
			<-up

			client.closeWrite()
			if n, err := upstream.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("upstream: got %d, %v, want the end", n, err)
			}
			io.WriteString(upstream, "more")
			client.expect("more")
			upstream.CloseWrite()
			client.closed()
			if err := <-sent; err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
}

func TestTunnelThatBreaks(t *testing.T) {
	for _, kind := range tunnels {
		t.Run(kind.name, func(t *testing.T) {
			client, upstream, sent := joined(t, kind.wrap, "")
			upstream.SetLinger(0)
			upstream.Close()
			client.expect(kind.before)
			client.closed()
			if err := <-sent; !errors.As(err, new(*exchange.SendError)) {
				t.Errorf("got %v, want a SendError", err)
			}
		})
	}
}

func expectFrom(t *testing.T, r io.Reader, want string) {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Errorf("got %d bytes, %v, want %d; the same up to %d", n, err, len(want), common(string(got), want))
	}
}

func common(a, b string) int {
	for i := range a {
		if !strings.HasPrefix(b, a[:i+1]) {
			return i
		}
	}
	return len(a)
}
