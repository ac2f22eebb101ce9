package socket

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7).
const tcpUserTimeout = 0x12

// GiveUp has the system reset the connection once the peer has taken nothing for
// so long although something waits for it. It reports whether the system does
// that. Unlike WriteBy, which counts all of a write, it leaves a Splice alone that
// waits for the one who sends.
func (c *Conn) GiveUp(after time.Duration) bool {
	if c.raw == nil {
		return false
	}
	var err error
	failed := c.raw.conn.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, max(1, int(after/time.Millisecond)))
	})
	return failed == nil && err == nil
}
