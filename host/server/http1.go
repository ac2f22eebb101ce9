package server

import (
	"fmt"
	"runtime/debug"

	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/message"
)

func (f *front) newHTTP1() *http1.Server {
	limits := &f.settings.Limits
	return &http1.Server{
		Handler:       f,
		Limits:        message.Limits{HeaderBytes: int(limits.HeaderBytes), HeaderCount: limits.HeaderCount},
		Secure:        f.certs != nil,
		HeaderTimeout: limits.HeaderTimeout.D(),
		IdleTimeout:   limits.IdleTimeout.D(),
		BodyTimeout:   limits.BodyTimeout.D(),
	}
}

// Prior follows http1.Owner.
func (c *conn) Prior(early []byte) { c.front.serveHTTP2(c, early) }

// Ended follows http1.Owner. Whoever serves a connection calls it in the end.
func (c *conn) Ended(panicked any) {
	if panicked != nil {
		c.front.server.log.Error("panic on connection", "listener", c.front.settings.Name, "client", c.socket.RemoteAddr().String(),
			"panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	}
	c.socket.Close()
	c.front.left(c)
}
