package http1

import (
	"bytes"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// preface is what a client of HTTP/2 with prior knowledge begins with (RFC 9113,
// 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// notPrior gives a connection that begins with the preface to its owner, and
// reports that this is another one. It reads on while that can't be told.
func (c *serverConn) notPrior(buf []byte, n int) ([]byte, int, bool) {
	begins := min(n, len(preface))
	for limited := false; strings.HasPrefix(preface, string(buf[:begins])); limited = true {
		if n >= len(preface) {
			early := bytes.Clone(buf[:n])
			c.server.inputs.Give(buf)
			c.socket.ReadBy(0, 0)
			c.owner.Prior(early)
			return nil, 0, false
		}
		if !limited {
			now := exchange.Clock()
			c.socket.ReadBy(after(now, c.server.HeaderTimeout), now)
		}
		m, err := c.socket.Read(buf[n:])
		if err != nil {
			c.server.inputs.Give(buf)
			return nil, 0, false
		}
		n += m
		begins = min(n, len(preface))
	}
	return buf, n, true
}
