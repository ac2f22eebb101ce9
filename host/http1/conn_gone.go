package http1

import (
	"context"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// watch has the life ended if the client leaves. quiet says that all of the
// request was read.
func (c *serverConn) watch(l *exchange.Life, now time.Duration, quiet bool) {
	c.mu.Lock()
	c.life = l
	if c.phase == aborted {
		l.End(context.Canceled)
	}
	c.mu.Unlock()
	c.quiet.Store(quiet)
	c.waiting.Store(int64(now))
}

// unwatch ends watch: nobody touches the life, or reads, once it has returned.
func (c *serverConn) unwatch() {
	c.ignore()
	c.mu.Lock()
	c.life = nil
	c.mu.Unlock()
}

// ignore lets the client leave, for good or to be heard again in a read.
func (c *serverConn) ignore() {
	c.waiting.Store(0)
	c.mu.Lock()
	ear := c.ear
	c.ear = nil
	c.mu.Unlock()
	if ear == nil {
		return
	}
	c.socket.InterruptRead()
	<-ear
	c.socket.ReadBy(0, 0)
	c.socket.NetConn().SetReadDeadline(time.Time{})
}

// look ends the exchange of a client that has left, once it has gone on for some
// time. The watcher calls it.
func (c *serverConn) look(now time.Duration) {
	since := time.Duration(c.waiting.Load())
	if since == 0 || now-since < watchFrom || c.gone.Load() {
		return
	}
	if c.socket.Gone() {
		c.left()
	} else if !c.plain && c.quiet.Load() {
		c.hear()
	}
}

// left ends the exchange that goes on.
func (c *serverConn) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil && c.waiting.Load() != 0 {
		c.gone.Store(true)
		c.life.End(context.Canceled)
	}
}

// hear begins to listen. That a client of TLS says it leaves can't be seen from
// outside.
func (c *serverConn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != nil && c.waiting.Load() != 0 && c.ear == nil && !c.ahead {
		c.ear = make(chan struct{})
		c.socket.ReadBy(0, 0) // here: ignore sets another deadline, maybe before listen begins
		go c.listen(c.ear)
	}
}

// listen waits for a byte, which is the next request's, or for the end.
func (c *serverConn) listen(ended chan<- struct{}) {
	defer close(ended)
	n, err := c.socket.Read(c.one[:])
	c.ahead = n > 0
	if n == 0 && !socket.IsTimeout(err) {
		c.left()
	}
}
