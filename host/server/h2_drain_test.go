package server_test

import (
	"context"
	"testing"

	"golang.org/x/net/http2"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/server"
)

// A connection that gets to HTTP/2 only after the others were told to end is told
// so too.
func TestShutdownFindsLateConnections(t *testing.T) {
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, "ok") }), server.Options{Log: logTo(t)})
	apply(t, s, settings())
	addr := s.Addrs()["test"].String()
	late := dial(t, addr)
	late.send(http2.ClientPreface[:5])
	hosttest.Eventually(t, func() bool { return s.Connections() == 1 }, "the connection is there")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	refused(t, addr)
	late.send(http2.ClientPreface[5:])
	c := &h2Conn{Framer: http2.NewFramer(late.Conn, late.Conn), t: t, leaving: true}
	c.WriteSettings()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return // its streams being none, it was closed at once
		}
		if _, ok := frame.(*http2.GoAwayFrame); ok {
			break
		}
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: got %v", err)
	}
}

// Clients that leave in the middle of an informational response must not have its
// fields read and changed at once: the race detector looks on.
func TestInformToClientsThatLeave(t *testing.T) {
	var h exchange.Header
	for range 50 {
		h.Add("Link", "</a.css>; rel=preload")
		h.Add("X-Other", "value")
	}
	done := make(chan struct{}, 1000)
	addr := start(t, func(x *exchange.Exchange) {
		for range 5 {
			x.Sink.Inform(103, &h)
		}
		answer(x, 200, "ok")
		done <- struct{}{}
	}, settings())
	const streams = 300
	c := dialH2(t, addr)
	go func() {
		for { // what comes is of no interest, but must not pile up
			frame, err := c.ReadFrame()
			if err != nil {
				return
			}
			_ = frame
		}
	}()
	for n := range uint32(streams) {
		c.headers(2*n+1, true, ":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
		if err := c.WriteRSTStream(2*n+1, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		if n >= 100 {
			<-done // no flood
		}
	}
}
