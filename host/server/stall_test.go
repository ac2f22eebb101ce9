package server

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestStallExpiresOnce(t *testing.T) {
	expired := make(chan struct{}, 10)
	s := stall{limit: time.Millisecond, expire: func() { expired <- struct{}{} }}
	s.begin()
	<-expired
	s.end()
	s.begin() // nothing begins again after that
	s.stop()
	if n := len(expired); n != 0 {
		t.Errorf("expired %d more times", n)
	}
}

func TestStallLeavesPausesAlone(t *testing.T) {
	limit := 20 * time.Millisecond
	s := stall{limit: limit, expire: func() { t.Error("expired between operations") }}
	s.begin()
	s.end()
	<-time.After(5 * limit)
	s.stop()
}

func TestStallWithoutLimit(t *testing.T) {
	s := stall{expire: func() { t.Error("expired without a limit") }}
	s.begin()
	s.stop()
	if s.timer != nil {
		t.Error("a timer was made")
	}
}

// TestStallHammer has operations, checks and the end come at the same time:
// nothing may expire twice, or after stop has returned.
func TestStallHammer(t *testing.T) {
	for range 200 {
		var expired atomic.Int32
		var stopped atomic.Bool
		s := stall{limit: 50 * time.Microsecond}
		s.expire = func() {
			expired.Add(1)
			if stopped.Load() {
				t.Error("expired after stop")
			}
		}
		operated := make(chan struct{})
		go func() {
			defer close(operated)
			for range 100 {
				s.begin()
				s.end()
			}
		}()
		<-time.After(20 * time.Microsecond)
		s.stop()
		stopped.Store(true)
		<-operated
		if n := expired.Load(); n > 1 {
			t.Errorf("expired %d times", n)
		}
	}
}
