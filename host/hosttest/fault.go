package hosttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Raw starts a backend on TCP: each connection is handed to serve, on its own
// goroutine, and closed when serve returns or the test ends. It returns the
// address.
func Raw(t testing.TB, serve func(c net.Conn)) (addr string) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		open    = map[net.Conn]struct{}{}
	)
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = struct{}{}
			mu.Unlock()
			running.Go(func() {
				serve(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// Resetting reads a request's head and resets the connection.
func Resetting(c net.Conn) {
	readHead(c)
	c.(*net.TCPConn).SetLinger(0)
}

// Garbage reads a request's head and answers with what is not HTTP.
func Garbage(c net.Conn) {
	readHead(c)
	io.WriteString(c, "\x00\x01 this is not HTTP\r\n\r\n")
}

// Silent accepts, reads for ever and says nothing.
func Silent(c net.Conn) { io.Copy(io.Discard, c) }

// Broken announces a body of 100 bytes, sends 10 of them and closes.
func Broken(c net.Conn) {
	readHead(c)
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
}

// Gate answers with Echo's answer, but each time only after open was sent to or
// closed: a backend that is as slow as a test wants.
func Gate(open <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-open:
			Echo(w, r)
		case <-r.Context().Done():
		}
	})
}

func readHead(c net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		r.Body.Close()
	}
}
