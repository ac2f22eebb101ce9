package http1_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// A connection that has just come when all are to end has a moment for its first
// byte, and then as long for its request as any other.
func TestDrainOfAFreshConnection(t *testing.T) {
	s := settings()
	s.HeaderTimeout, s.BodyTimeout = time.Hour, time.Hour
	d := serve(t, s, func(x *exchange.Exchange) { answer(x, 200, "") })
	p, silent := d.dial(t), d.dial(t)
	hosttest.Eventually(t, func() bool { return d.Connections() == 2 }, "both connections are there")
	d.Drain()
	p.send("GET / HTTP/1.1\r\n")
	silent.closed() // by when the moment has passed
	p.SetReadDeadline(time.Now().Add(time.Second))
	if b, err := p.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %q, %v before the request was complete", b, err)
	}
	p.SetReadDeadline(time.Now().Add(10 * time.Second))
	p.send("Host: h\r\n\r\n")
	if resp, _ := p.response("GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("got %d, close %v", resp.StatusCode, resp.Close)
	}
	p.closed()
}
