package http1_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// An interruption of a body may come when its exchange, and even the next one, is
// over: it means nothing then.
func TestLateInterruption(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		x.ReadWithin() // and nobody stops it
		b, err := io.ReadAll(x.Request.Body)
		x.Life().End(context.Canceled)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		answer(x, 200, string(b))
	})
	p := d.dial(t)
	for range 500 {
		p.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
		if _, got := p.response("POST"); got != "abc" {
			t.Fatalf("got %q", got)
		}
	}
}

// Whoever reads a body beyond its exchange gets bytes of that body or an error, and
// nothing of the requests behind it.
func TestLateReader(t *testing.T) {
	var readers sync.WaitGroup
	d := serve(t, settings(), func(x *exchange.Exchange) {
		body, want := x.Request.Body, strings.Clone(x.Request.Target[1:])
		begun := make(chan struct{})
		readers.Go(func() {
			var got []byte
			var one [1]byte
			for close(begun); ; {
				n, err := body.Read(one[:])
				got = append(got, one[:n]...)
				if err != nil {
					break
				}
			}
			if !strings.HasPrefix(want, string(got)) {
				t.Errorf("the reader of %q got %q", want, got)
			}
		})
		<-begun
		answer(x, 200, want)
	})
	for i := range 50 {
		p := d.dial(t)
		for n := range 5 {
			want := fmt.Sprintf("%d-%d", i, n)
			p.send(fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", want, len(want), want))
			if resp, err := http.ReadResponse(p.r, nil); err != nil {
				break // a reader that was in the middle of it costs the connection
			} else if got, _ := io.ReadAll(resp.Body); string(got) != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		p.Close()
	}
	readers.Wait()
}
