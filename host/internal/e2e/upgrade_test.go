package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func testWebSocket(t *testing.T, p *passage) {
	path := p.origin.at(hosttest.WebSocket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, p.client.scheme()+"://"+p.client.addr+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: p.client.transport}, Host: p.client.host, HTTPHeader: p.client.header,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	p.kind.check(t, resp.Header)
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

// switching is an origin that switches to a protocol of its own and hands the
// connection over.
func switching(t testing.TB, conns chan<- *origConn) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Upgrade"); got != "chat/1" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			t.Errorf("the origin was asked to switch to %q by %q", got, r.Header.Get("Connection"))
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Chat/1\r\nX-Odd-CASE: 1\r\n\r\n")
		conns <- &origConn{buffered.Reader, c}
	}
}

// origConn is the origin's end of a tunnel.
type origConn struct {
	io.Reader
	io.WriteCloser
}

func (c *origConn) closeWrite(t testing.TB) {
	t.Helper()
	if err := c.WriteCloser.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// tunnel switches a connection to chat/1 and returns both ends of it.
func tunnel(t testing.TB, p *passage) (*raw, *origConn) {
	t.Helper()
	conns := make(chan *origConn, 1)
	path := p.origin.at(switching(t, conns))
	c := p.host.dial(t, p.client.wire)
	c.send("GET " + path + " HTTP/1.1\r\nHost: " + p.client.host + "\r\nX-Api-Key: demo\r\n" +
		"Connection: upgrade\r\nUpgrade: chat/1\r\n\r\nearly")
	head := c.head()
	if head[0] != "HTTP/1.1 101 Switching Protocols" || !slices.Contains(head, "Upgrade: Chat/1") {
		t.Fatalf("got %q", head)
	}
	far := <-conns
	t.Cleanup(func() { far.Close() })
	expect(t, far, "early")
	return c, far
}

// testUpgrade ends each direction by itself, in both orders.
func testUpgrade(t *testing.T, p *passage) {
	t.Run("client ends first", func(t *testing.T) {
		near, far := tunnel(t, p)
		near.send("up")
		expect(t, far, "up")
		send(t, far, "down")
		expect(t, near, "down")
		near.closeWrite()
		if rest := all(t, far); rest != "" {
			t.Errorf("the origin got %q", rest)
		}
		send(t, far, "still down")
		expect(t, near, "still down")
		far.Close()
		near.wantClosed()
	})
	t.Run("origin ends first", func(t *testing.T) {
		near, far := tunnel(t, p)
		far.closeWrite(t)
		if rest := all(t, near); rest != "" {
			t.Errorf("the client got %q", rest)
		}
		near.send("still up")
		near.closeWrite()
		if rest := all(t, far); rest != "still up" {
			t.Errorf("the origin got %q", rest)
		}
	})
}

// testUpgradeRefused passes on the answer of an origin that does not switch.
func testUpgradeRefused(t *testing.T, p *passage) {
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "other/1")
		w.WriteHeader(http.StatusUpgradeRequired)
		io.WriteString(w, "no")
	})
	c := p.host.dial(t, p.client.wire)
	c.send("GET " + path + " HTTP/1.1\r\nHost: " + p.client.host + "\r\nX-Api-Key: demo\r\n" +
		"Connection: Upgrade\r\nUpgrade: chat/1\r\n\r\n")
	resp, body := c.response("GET")
	p.kind.check(t, resp.Header)
	if resp.StatusCode != 426 || body != "no" {
		t.Errorf("got status %d and %q", resp.StatusCode, body)
	}
}
