package http1_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// A client that begins like HTTP/2, byte by byte, has no more time for all of it
// than for the head of a request.
func TestSlowPreface(t *testing.T) {
	s := settings()
	s.HeaderTimeout = 300 * time.Millisecond
	d := serve(t, s, func(x *exchange.Exchange) { t.Error("there was no request") })
	p := d.dial(t)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"
	for i := range preface {
		io.WriteString(p.Conn, preface[i:i+1])
		p.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := p.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return // it was closed, which is all that a client of either kind would understand
		}
	}
	t.Error("the connection is open after all bytes but one")
}
