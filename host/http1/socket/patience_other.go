//go:build !linux

package socket

import "time"

// GiveUp does nothing: the system can't.
func (c *Conn) GiveUp(time.Duration) bool { return false }
