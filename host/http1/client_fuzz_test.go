package http1_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// FuzzTrip has a server answer with anything. However that arrives and is read, it
// means the same, and a connection is only used again if nothing is left on it.
func FuzzTrip(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\npoison",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		f.Add([]byte(answer), uint8(1))
		f.Add([]byte(answer), uint8(200))
	}
	f.Fuzz(func(t *testing.T, answer []byte, step uint8) {
		whole := outcome(t, answer, len(answer)+1, 64<<10)
		parts := outcome(t, answer, int(step)+1, int(step)+1)
		// What comes later than the end is not seen by who reads no further.
		parts.reusable = whole.reusable
		if whole != parts {
			t.Errorf("got %+v in parts of %d, %+v at once", parts, int(step)+1, whole)
		}
	})
}

// result is what a trip came to.
type result struct {
	status               int
	fields, body, failed string
	trailers             string
	reusable             bool
}

// outcome makes a trip to a server that answers in parts of step bytes, and reads
// the body in parts of size bytes.
func outcome(t *testing.T, answer []byte, step, size int) (r result) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		readHead(bufio.NewReader(theirs))
		for len(answer) > 0 {
			n := min(step, len(answer))
			if _, err := theirs.Write(answer[:n]); err != nil {
				return
			}
			answer = answer[n:]
		}
	}()
	trip := ask(socket.New(ours))
	trip.Client = &http1.Client{Buffers: &socket.Buffers{Size: 1 << 10}, Limits: message.Limits{HeaderBytes: 4 << 10, HeaderCount: 16}, MaxInforms: 4}
	trip.Until = exchange.Clock() + time.Minute
	defer trip.Release()
	if err := trip.Do(); err != nil {
		r.failed = err.Error()
		return r
	}
	body, err := readBy(trip, size)
	if err != nil {
		r.failed = err.Error()
	}
	r.status, r.fields, r.body = trip.Response.Status, fields(trip.Response.Header), body
	r.trailers, r.reusable = fields(trip.Response.Trailer), trip.Reusable()
	return r
}
