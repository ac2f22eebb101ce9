package http1

import (
	"net"
	"time"
)

// Bounds of the lingering close (RFC 9112, 9.6). A client in the middle of an upload
// may send much before it looks for a response, and many take an error of sending
// for the answer: it is the time that ends this.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 20
)

// linger gives the client time to read the last response, which a reset would
// take from it: that is what closing makes of bytes that nobody has read. buf is
// free for any use.
func (c *serverConn) linger(buf []byte) {
	c.socket.CloseWrite()
	below := c.socket.NetConn()
	if secured, ok := below.(interface{ NetConn() net.Conn }); ok {
		below = secured.NetConn()
		if half, ok := below.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
	below.SetReadDeadline(time.Now().Add(lingerTime))
	for dropped := 0; dropped < lingerBytes; {
		n, err := below.Read(buf)
		if err != nil {
			return
		}
		dropped += n
	}
}
