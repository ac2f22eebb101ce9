package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// A head that needs a larger buffer leaves more room in it than a chunk's size may
// have digits for.
func TestChunkBehindLargeHead(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	received := make(chan []byte, 1)
	c := dial(t, func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReaderSize(c, 1<<20))
		if err != nil {
			t.Error(err)
			close(received)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		received <- body
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	trip := post(c, nil, exchange.UnknownLength)
	trip.Whole = whole
	for range 7 {
		trip.Request.Header.Add("x-large", strings.Repeat("v", 100<<10))
	}
	if err := trip.Do(); err != nil {
		t.Errorf("Do: %v", err)
	}
	if got := <-received; !bytes.Equal(got, whole) {
		t.Errorf("the body did not arrive as it was: %d bytes", len(got))
	}
	trip.Release()
}
