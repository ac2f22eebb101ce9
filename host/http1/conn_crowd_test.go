package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// A drain ends every connection, whatever it is about: coming, idle, on its way to
// a smaller stack, or with a request.
func TestDrainOfACrowd(t *testing.T) {
	s := settings()
	s.HeaderTimeout, s.IdleTimeout, s.BodyTimeout = time.Hour, time.Hour, time.Hour
	d := serve(t, s, func(x *exchange.Exchange) { answer(x, 200, "") })
	var clients sync.WaitGroup
	var served atomic.Int64
	for i := range 400 {
		clients.Go(func() {
			c, err := net.Dial("tcp", d.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for n := 0; i%8 != 0; n++ {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				resp, err := http.ReadResponse(r, nil)
				if err != nil || resp.Close {
					return
				}
				served.Add(1)
				c.SetReadDeadline(time.Now().Add(time.Duration(i%60) * time.Millisecond))
				if _, err := r.Peek(1); err == io.EOF {
					return
				}
				c.SetReadDeadline(time.Time{})
			}
			io.Copy(io.Discard, r)
		})
	}
	hosttest.Eventually(t, func() bool { return served.Load() > 3000 }, "the crowd is there")
	d.Drain()
	hosttest.Eventually(t, func() bool { return d.Connections() == 0 }, "no connection is left")
	clients.Wait()
}
