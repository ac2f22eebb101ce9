package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// stall ends an operation on a client's connection that takes too long. It
// costs two clock readings an operation and one timer for all of them; that
// timer is rarely touched. Deadlines on net/http's side would not do: those of
// HTTP/2 fire between operations too, and each costs a hand-off.
type stall struct {
	limit  time.Duration // 0: none
	expire func()        // makes the operation in progress return; called at most once

	since atomic.Int64 // when the operation began, on clock; 0 while there is none
	mu    sync.Mutex   // guards the rest, and keeps stop from returning while expire runs
	timer *time.Timer
	ended bool
}

var clockStart = time.Now()

// clock returns monotonic nanoseconds, never 0.
func clock() int64 { return int64(time.Since(clockStart)) | 1 }

// begin notes that an operation begins.
func (s *stall) begin() {
	if s.limit == 0 {
		return
	}
	s.since.Store(clock())
	if s.timer == nil {
		s.mu.Lock()
		if !s.ended {
			s.timer = time.AfterFunc(s.limit, s.check)
		}
		s.mu.Unlock()
	}
}

// end notes that it has ended.
func (s *stall) end() { s.since.Store(0) }

func (s *stall) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	wait := s.limit
	if since := s.since.Load(); since != 0 {
		wait -= time.Duration(clock() - since)
	}
	if wait > 0 {
		s.timer.Reset(wait)
		return
	}
	s.ended = true
	s.expire()
}

// stop ends the watch; expire is not called any more once it has returned.
func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
