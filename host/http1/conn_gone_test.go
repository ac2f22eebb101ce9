package http1

import (
	"net"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// Whoever listens for a client that leaves stops when the exchange is over, also
// if it has only just begun.
func TestListeningEnds(t *testing.T) {
	for range 200 {
		near, far := net.Pipe()
		c := &serverConn{server: new(Server), socket: socket.New(near)}
		now := exchange.Clock()
		c.socket.ReadBy(now+time.Hour, now) // as of the wait for the request
		c.watch(new(exchange.Life), now, true)
		c.hear()
		ignored := make(chan struct{})
		go func() {
			c.unwatch()
			close(ignored)
		}()
		select {
		case <-ignored:
		case <-time.After(5 * time.Second):
			t.Fatal("the exchange waits for its client to say something")
		}
		near.Close()
		far.Close()
	}
}
