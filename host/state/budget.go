package state

import "sync/atomic"

// budget bounds what is held, within a wider budget if it has one. No bound is
// exceeded, not even for a moment, and a refusal changes nothing.
type budget struct {
	limit int64
	used  atomic.Int64
	wider *budget
}

func newBudget(limit int64, wider *budget) *budget { return &budget{limit: limit, wider: wider} }

// take has n more held, or fewer if n is negative, and reports whether there was
// room.
func (b *budget) take(n int64) bool { return b.takeUpTo(b.limit, n) }

// takeUpTo is take with another limit than the budget's own.
func (b *budget) takeUpTo(limit, n int64) bool {
	for {
		used := b.used.Load()
		if n > 0 && n > limit-used {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			break
		}
	}
	if b.wider != nil && !b.wider.take(n) {
		b.used.Add(-n)
		return false
	}
	return true
}

// give takes back what take had held.
func (b *budget) give(n int64) { b.take(-n) }
