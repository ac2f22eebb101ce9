package http1_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestServerHammer has clients of all kinds come and go at once: in order, in
// pipelines, with bodies that are read, left or read by others, breaking off
// anywhere. Who stays in order gets its own answers, in order.
func TestServerHammer(t *testing.T) {
	d := serve(t, settings(), func(x *exchange.Exchange) {
		target := x.Request.Target
		kind := target[strings.LastIndexByte(target, '/')+1:]
		switch body := x.Request.Body; {
		case body == nil || kind == "leave":
		case kind == "other":
			read := make(chan struct{})
			go func() {
				defer close(read)
				io.Copy(io.Discard, body)
			}()
			defer func() { <-read }()
		default:
			if _, err := io.Copy(io.Discard, body); err != nil {
				return
			}
		}
		if kind == "stream" {
			x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
			x.Response.Body = io.NopCloser(strings.NewReader(target))
			x.Sink.Send(x)
			return
		}
		answer(x, 200, target)
	})
	var clients sync.WaitGroup
	for id := range 8 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(id), 1))
			for n := range 40 {
				if err := visit(d, random, fmt.Sprintf("/%d/%d", id, n)); err != nil {
					t.Errorf("client %d, visit %d: %v", id, n, err)
				}
			}
		})
	}
	clients.Wait()
	d.Drain()
	hosttest.Eventually(t, func() bool { return d.Connections() == 0 }, "all connections end")
}

// visit is a connection with some requests, all of them sent before the answers
// are read, or broken off.
func visit(d *served, random *rand.Rand, name string) error {
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var requests strings.Builder
	var want []string
	for i := range 1 + random.IntN(5) {
		target := fmt.Sprintf("%s/%d/%s", name, i, []string{"read", "leave", "other", "stream"}[random.IntN(4)])
		body := strings.Repeat("x", random.IntN(40<<10))
		switch random.IntN(3) {
		case 0:
			fmt.Fprintf(&requests, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
		case 1:
			fmt.Fprintf(&requests, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
		case 2:
			fmt.Fprintf(&requests, "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\nx%s\r\n0\r\n\r\n", target, len(body)+1, body)
		}
		want = append(want, target)
	}
	text := requests.String()
	if random.IntN(4) == 0 {
		io.WriteString(c, text[:random.IntN(len(text))])
		return nil
	}
	go io.WriteString(c, text)
	r := newReader(c)
	for _, target := range want {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if body, err := io.ReadAll(resp.Body); string(body) != target || err != nil {
			return fmt.Errorf("got %q, %w, want %q", body, err, target)
		}
	}
	return nil
}
