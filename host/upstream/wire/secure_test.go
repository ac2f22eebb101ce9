package wire

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// gathering sends what was written when something is to be read.
type gathering struct {
	net.Conn
	written []byte
}

func (g *gathering) Write(p []byte) (int, error) {
	g.written = append(g.written, p...)
	return len(p), nil
}

func (g *gathering) Read(p []byte) (int, error) {
	if _, err := g.Conn.Write(g.written); err != nil {
		return 0, err
	}
	g.written = nil
	return g.Conn.Read(p)
}

// What a TLS endpoint sends too much can be with us already, where no look at the
// socket finds it.
func TestUnaskedRecordsAreNoAnswer(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	for _, size := range []int{0, 5, 100 << 10} {
		plain := endpoint(t, func(conn net.Conn, n int) {
			secure := tls.Server(&gathering{Conn: conn}, &tls.Config{Certificates: certified.TLS.Certificates})
			for r := bufio.NewReader(secure); ; {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				io.WriteString(secure, okAnswer)
				if n == 0 {
					io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
				}
			}
		})
		c, err := New(Settings{
			Scheme: "https", Host: plain.host, Protocol: "h1", TLS: manifest.UpstreamTLS{Insecure: true}, Limits: plain.conns.limits,
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			put := try("PUT")
			if put.X.Request.Length = int64(size); size > 0 {
				put.Replay = NewReplay(exchange.NewBuffered(make([]byte, size)), 0)
			}
			if got := ask(t, c, put); got != "ok" {
				t.Errorf("%d bytes: got %q", size, got)
			}
		}
		if open, idle := counts(c.conns); open != 1 || idle != 1 {
			t.Errorf("%d bytes: got %d connections, %d idle, want the good one", size, open, idle)
		}
		c.Close()
	}
}
