package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

func TestTripSwitchesProtocols(t *testing.T) {
	trip := ask(dial(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if head := readHead(r); !strings.Contains(head, "Connection: Upgrade\r\nUpgrade: echo\r\n") {
			t.Errorf("got %q", head)
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Extra: 1\r\n\r\nhello\n")
		io.Copy(c, r)
		io.WriteString(c, "bye")
	}))
	trip.Request.Upgrade = "echo"
	trip.Until = exchange.Clock() + 10*time.Second
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	tunnel := trip.Tunnel()
	lines := bufio.NewReader(tunnel)
	io.WriteString(tunnel, "ping\n")
	for _, want := range []string{"hello\n", "ping\n"} {
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if err := tunnel.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(lines); string(got) != "bye" || err != nil {
		t.Errorf("after half-close: got %q, %v", got, err)
	}
	tunnel.Close()
	tunnel.Close()
	if !trip.Over() || trip.Reusable() {
		t.Error("the connection belongs to the tunnel")
	}
	trip.Release()
}

func TestTripSwitchesToSomethingElse(t *testing.T) {
	for _, head := range []string{"Connection: Upgrade\r\nUpgrade: other\r\n", "Upgrade: echo\r\n", "Connection: Upgrade\r\n"} {
		trip := ask(dial(t, says("HTTP/1.1 101 Switching Protocols\r\n"+head+"\r\n")))
		trip.Request.Upgrade = "echo"
		if err := trip.Do(); err != http1.ErrSwitched {
			t.Errorf("%q: got %v", head, err)
		}
	}
}

// splice does what a server does with a body that lends its bytes, with a copy
// in place of the kernel.
func splice(t *testing.T, trip *http1.Trip) string {
	t.Helper()
	var got strings.Builder
	for {
		c, waiting, n, ok := trip.SpliceSource()
		if !ok {
			break
		}
		got.Write(waiting)
		moved, err := int64(len(waiting)), error(nil)
		if c != nil {
			part := make([]byte, min(n, 1000))
			var m int
			m, err = c.Read(part)
			got.Write(part[:m])
			moved += int64(m)
		}
		trip.Spliced(moved, err)
	}
	rest, err := io.ReadAll(trip)
	got.Write(rest)
	if err != nil {
		fmt.Fprintf(&got, " %v", err)
	}
	return got.String()
}

func TestTripLendsItsBody(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 4096)
	cases := []struct {
		name, head, body, want string
		reusable               bool
	}{
		{"counted", "Content-Length: 65536\r\n", long, long, true},
		{"short", "Content-Length: 2\r\n", "ok", "ok", true},
		{"surplus", "Content-Length: 2\r\n", "okpoison", "ok", false},
		{"breaks off", "Content-Length: 3\r\n", "ok", "ok unexpected EOF", false},
		{"chunked", "Transfer-Encoding: chunked\r\n", "10000\r\n" + long + "\r\n2\r\nok\r\n0\r\n\r\n", long + "ok", true},
		{"chunks of nothing right", "Transfer-Encoding: chunked\r\n", "2\r\nokok", "ok " + message.ErrChunkEnd.Reason, false},
		{"until the end", "", "ok", "ok", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			trip := ask(dial(t, func(conn net.Conn) {
				says("HTTP/1.1 200 OK\r\n" + c.head + "\r\n" + c.body)(conn)
				if c.reusable {
					io.Copy(io.Discard, conn)
				}
			}))
			if err := trip.Do(); err != nil {
				t.Fatal(err)
			}
			if got := splice(t, trip); got != c.want {
				t.Errorf("got %d bytes %.40q, want %d", len(got), got, len(c.want))
			}
			if trip.Reusable() != c.reusable {
				t.Errorf("reusable: got %v", trip.Reusable())
			}
			trip.Conn.Close()
			trip.Release()
		})
	}
}

// What moved before a deadline passed shows that there is no silence.
func TestTripLendsWithinSilence(t *testing.T) {
	trip := ask(dial(t, says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")))
	trip.Silence = time.Nanosecond
	if err := trip.Do(); err != nil {
		t.Fatal(err)
	}
	_, waiting, n, ok := trip.SpliceSource()
	if string(waiting) != "first" || n != 95 || !ok {
		t.Fatalf("got %q and %d more, %v", waiting, n, ok)
	}
	trip.Spliced(int64(len(waiting))+10, os.ErrDeadlineExceeded)
	if _, waiting, n, ok = trip.SpliceSource(); len(waiting) != 0 || n != 85 || !ok {
		t.Fatalf("after progress: got %q and %d more, %v", waiting, n, ok)
	}
	trip.Spliced(0, &socket.ReadError{Err: os.ErrDeadlineExceeded})
	if _, _, _, ok = trip.SpliceSource(); ok || !trip.Over() {
		t.Error("silence is the end")
	}
}
