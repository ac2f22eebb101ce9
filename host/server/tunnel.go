package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// join takes the client's connection over, writes the head of a response with
// status 101, and moves bytes both ways until both directions have ended.
func (c *call) join() *exchange.SendError {
	resp := &c.x.Response
	defer resp.Tunnel.Close()
	client, buffered, err := c.control.Hijack()
	if err != nil {
		return &exchange.SendError{Err: err}
	}
	c.hijacked = true
	defer client.Close()
	if err := c.switchProtocols(buffered.Writer); err != nil {
		return &exchange.SendError{Err: err}
	}
	t := &tunnel{client: client, upstream: resp.Tunnel, early: buffered.Reader}
	return t.run(&c.x)
}

// switchProtocols writes the head of the response, in its own order and
// spelling.
func (c *call) switchProtocols(w *bufio.Writer) error {
	resp := &c.x.Response
	protocol := resp.Header.Value("upgrade")
	if protocol == "" {
		protocol = c.x.Request.Upgrade
	}
	w.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ")
	w.WriteString(protocol)
	w.WriteString("\r\n")
	for _, field := range resp.Header.Fields() {
		if wireName(field.Name) == "" || !exchange.ValidName(field.Name) || !exchange.ValidValue(field.Value) {
			continue
		}
		w.WriteString(field.Name)
		w.WriteString(": ")
		w.WriteString(field.Value)
		w.WriteString("\r\n")
	}
	w.WriteString("\r\n")
	c.writing.begin()
	defer c.writing.end()
	return w.Flush()
}

// tunnel is a pair of joined connections.
type tunnel struct {
	client   net.Conn
	upstream io.ReadWriteCloser
	early    *bufio.Reader // has what the client sent along with its request
	received atomic.Int64  // bytes from the client
}

// halfCloser is a connection whose writing direction can end alone.
type halfCloser interface{ CloseWrite() error }

// run moves bytes until both directions have ended, one has broken, or the
// exchange's context ends.
func (t *tunnel) run(x *exchange.Exchange) *exchange.SendError {
	stop := context.AfterFunc(x.Context(), t.close)
	defer stop()
	up := make(chan error, 1)
	go func() { up <- t.toUpstream() }()

	var err *exchange.SendError
	n, copyErr := io.Copy(bare(t.client), t.upstream)
	x.ResponseBytes += n
	if copyErr != nil || !t.halfClose(t.client) {
		t.close()
	}
	if upErr := <-up; upErr != nil || copyErr != nil {
		err = &exchange.SendError{Err: errors.Join(copyErr, upErr)}
	}
	x.RequestBytes += t.received.Load()
	return err
}

// toUpstream moves what the client sends.
func (t *tunnel) toUpstream() error {
	n, err := t.earlyBytes()
	if err == nil {
		var more int64
		more, err = io.Copy(t.upstream, bare(t.client))
		n += more
	}
	t.received.Add(n)
	if err != nil || !t.halfClose(t.upstream) {
		t.close()
	}
	return err
}

// earlyBytes moves what net/http has read beyond the request's head.
func (t *tunnel) earlyBytes() (int64, error) {
	waiting, err := t.early.Peek(t.early.Buffered())
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	n, err := t.upstream.Write(waiting)
	return int64(n), err
}

// halfClose tells one side that the other has sent its last byte.
func (t *tunnel) halfClose(side any) bool {
	half, ok := side.(halfCloser)
	return ok && half.CloseWrite() == nil
}

func (t *tunnel) close() {
	t.client.Close()
	t.upstream.Close()
}

// bare returns the socket below a plain connection, so that the kernel can
// move the bytes where the system has a call for it.
func bare(c net.Conn) net.Conn {
	if h, ok := c.(*http1Conn); ok && h.c.secured == nil {
		return h.c.socket
	}
	return c
}
