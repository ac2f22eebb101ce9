package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// busy is a host with every kind of long exchange on its way.
type busy struct {
	host     *host
	idle     *raw // a connection without an exchange
	near     *raw // a tunnel, and its other end
	far      *origConn
	socket   *websocket.Conn
	download []io.Reader   // one over each version of HTTP
	more     chan struct{} // closing it lets downloads end
	upload   io.WriteCloser
	uploaded <-chan string // what the origin answers to the upload
}

// rest is what downloads have yet to bring.
const rest = "the rest"

func startBusy(t *testing.T, shutdown time.Duration) *busy {
	t.Helper()
	o := startOrigin(t)
	b := &busy{more: make(chan struct{})}
	b.host = launch(t, shutdown, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), ""))
	p := &passage{b.host, o, plain, b.host.client(t, h1)}
	b.near, b.far = tunnel(t, p)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	var err error
	b.socket, _, err = websocket.Dial(ctx, "ws://"+p.client.addr+o.at(hosttest.WebSocket), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.socket.CloseNow() })

	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin ")
		w.(http.Flusher).Flush()
		select {
		case <-b.more:
			io.WriteString(w, rest)
		case <-r.Context().Done():
		}
	})
	for _, w := range []wire{h1, h2c} {
		c := b.host.client(t, w)
		resp := c.do(t, c.request(t, "GET", path, nil))
		expect(t, resp.Body, "begin ")
		b.download = append(b.download, resp.Body)
	}
	b.startUpload(t)

	b.idle = b.host.dial(t, h1)
	b.idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	b.idle.response("GET")
	hosttest.Eventually(t, func() bool { return b.host.inFlight(t) == 3 }, "only downloads and the upload hold the generation")
	return b
}

func (b *busy) startUpload(t *testing.T) {
	t.Helper()
	c := b.host.client(t, h1)
	body, in := io.Pipe()
	b.upload = in
	uploaded := make(chan string, 1)
	b.uploaded = uploaded
	r := c.request(t, "POST", "/", body)
	go func() {
		resp, err := c.transport.RoundTrip(r)
		if err != nil {
			uploaded <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		uploaded <- fmt.Sprint(string(text), err)
	}()
	send(t, in, "first, ")
}

// stopping asks the host to end and waits until it lets nobody in.
func (b *busy) stopping(t *testing.T) {
	t.Helper()
	b.host.stop()
	hosttest.Eventually(t, func() bool {
		c, err := net.Dial("tcp", b.host.addrs["plain"])
		if err == nil {
			c.Close()
		}
		return err != nil
	}, "no new connection is accepted")
	b.idle.wantClosed()
	resp, err := b.host.admin.Get("http://admin/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text := all(t, resp.Body); resp.StatusCode != 503 || !strings.Contains(text, "draining") {
		t.Errorf("readiness: got status %d and %q", resp.StatusCode, text)
	}
}

// TestShutdown lets everything end in order that is on its way.
func TestShutdown(t *testing.T) {
	b := startBusy(t, time.Minute)
	b.stopping(t)

	b.near.send("up")
	expect(t, b.far, "up")
	b.echo(t, "over the socket")
	send(t, b.upload, "last")
	b.upload.Close()
	if got := within(t, b.uploaded, "the upload is answered"); !strings.Contains(got, "first, last") {
		t.Errorf("upload: got %s", got)
	}
	close(b.more)
	for i, download := range b.download {
		if got := all(t, download); got != rest {
			t.Errorf("download %d: got %q", i, got)
		}
	}
	select {
	case status := <-b.host.status:
		t.Fatalf("the host ended with status %d before its tunnels", status)
	default:
	}
	if err := b.socket.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close the socket: %v", err)
	}
	b.near.closeWrite()
	b.far.Close()
	b.near.wantClosed()
	if status := within(t, b.host.status, "the host ends"); status != 0 {
		t.Errorf("got status %d:\n%s", status, b.host.log.tail())
	}
}

func (b *busy) echo(t *testing.T, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.socket.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := b.socket.Read(ctx); string(got) != message || err != nil {
		t.Fatalf("echo: got %q, %v", got, err)
	}
}

// TestShutdownDeadline cuts off what does not end, visibly, and says so.
func TestShutdownDeadline(t *testing.T) {
	b := startBusy(t, 300*time.Millisecond)
	b.host.stop()
	if status := within(t, b.host.status, "the host ends"); status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	if !strings.Contains(b.host.log.String(), "cut off") {
		t.Errorf("the log does not tell:\n%s", b.host.log.tail())
	}
	for i, download := range b.download {
		if got, err := io.ReadAll(download); err == nil {
			t.Errorf("download %d: got %q as if it were whole", i, got)
		}
	}
	if rest, err := io.ReadAll(b.far); len(rest) > 0 {
		t.Errorf("the tunnel's origin got %q, %v", rest, err)
	}
	var timeout net.Error
	if _, err := io.ReadAll(b.near); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the tunnel's client was left alone")
	}
	b.upload.Close()
	if got := within(t, b.uploaded, "the upload ends"); strings.Contains(got, `"method"`) {
		t.Errorf("upload: got %s", got)
	}
}

// TestShutdownOfAnIdleHost takes no time to speak of.
func TestShutdownOfAnIdleHost(t *testing.T) {
	o := startOrigin(t)
	h := launch(t, time.Minute, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), ""))
	h.client(t, h1).get(t, "/")
	h.client(t, h2c).get(t, "/")
	h.stop()
	if status := within(t, h.status, "the host ends"); status != 0 {
		t.Errorf("got status %d", status)
	}
}
