package http1

import (
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// How often connections are looked at, and from what age of an exchange on.
const (
	watchTick = 250 * time.Millisecond
	watchFrom = 500 * time.Millisecond
)

// watch looks for clients that have left, for as long as there are connections:
// an exchange has no goroutine that would be told.
func (s *Server) watch() {
	ticker := time.NewTicker(watchTick)
	defer ticker.Stop()
	var conns []*serverConn
	for range ticker.C {
		conns = s.snapshot(conns[:0])
		now := exchange.Clock()
		for i, c := range conns {
			c.look(now)
			conns[i] = nil
		}
		if len(conns) == 0 && s.unwatched() {
			return
		}
	}
}

// unwatched reports whether the watch is over.
func (s *Server) unwatched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = len(s.conns) > 0
	return !s.watching
}
