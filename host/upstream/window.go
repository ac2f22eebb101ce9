package upstream

import (
	"sync/atomic"
	"time"
)

// windowSlices is how finely a window slides.
const windowSlices = 10

// window counts events of two kinds over the last span of time. It takes no
// lock: an event that falls together with the reuse of a slice may be lost,
// which no decision made from it can notice.
type window struct {
	slices [windowSlices]struct {
		turn        atomic.Int64 // which slice of time this is, plus 1
		total, some atomic.Int64
	}
}

// add counts total events, some of which are of the second kind.
func (w *window) add(now int64, span time.Duration, total, some int64) {
	turn := sliceOf(now, span)
	s := &w.slices[turn%windowSlices]
	if old := s.turn.Load(); old != turn && s.turn.CompareAndSwap(old, turn) {
		s.total.Store(0)
		s.some.Store(0)
	}
	if total != 0 {
		s.total.Add(total)
	}
	if some != 0 {
		s.some.Add(some)
	}
}

// sum returns the counts of the last span, the slice that is passing included.
func (w *window) sum(now int64, span time.Duration) (total, some int64) {
	turn := sliceOf(now, span)
	for i := range w.slices {
		s := &w.slices[i]
		if t := s.turn.Load(); t > turn-windowSlices && t <= turn {
			total += s.total.Load()
			some += s.some.Load()
		}
	}
	return total, some
}

// current returns the counts of the slice that is passing.
func (w *window) current(now int64, span time.Duration) (total, some int64) {
	turn := sliceOf(now, span)
	s := &w.slices[turn%windowSlices]
	if s.turn.Load() != turn {
		return 0, 0
	}
	return s.total.Load(), s.some.Load()
}

func (w *window) reset() {
	for i := range w.slices {
		w.slices[i].turn.Store(0)
	}
}

func sliceOf(now int64, span time.Duration) int64 {
	return now/max(int64(span)/windowSlices, 1) + 1
}
