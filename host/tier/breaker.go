package tier

import (
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// windowSlots is how finely a breaker's window slides.
const windowSlots = 10

// Breaker sheds what would enter a tier that fails too often. It opens when the
// share of failed exchanges in its window reaches failure_rate, and after its
// pause lets one exchange try; that one closes or opens it again, and if it takes
// its time, another one tries after a further pause. It is safe for concurrent
// use; a nil *Breaker never opens.
type Breaker struct {
	settings manifest.TierBreaker

	mu      sync.Mutex
	slots   [windowSlots]tally
	current int64         // number of the slot that is counted into
	opened  time.Duration // when it last opened or let one try; meaningful if isOpen
	isOpen  bool
	probing bool // since opened, an exchange tries
}

// tally counts exchanges.
type tally struct{ total, failed int }

// NewBreaker makes a closed one; nil if its failure_rate is 0.
func NewBreaker(c manifest.TierBreaker) *Breaker {
	if c.FailureRate == 0 {
		return nil
	}
	b := &Breaker{settings: c}
	b.current = b.slotOf(now())
	return b
}

// Fits reports whether a breaker by the settings c would be like this one.
func (b *Breaker) Fits(c manifest.TierBreaker) bool {
	if b == nil {
		return c.FailureRate == 0
	}
	return b.settings == c
}

// IsOpen reports whether it sheds.
func (b *Breaker) IsOpen() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen
}

// open reports whether an exchange is to be shed, and when to come back.
func (b *Breaker) open(at time.Duration) (wait time.Duration, open bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isOpen {
		return 0, false
	}
	if left := b.opened + b.settings.Open.D() - at; left > 0 {
		return left, true
	}
	b.opened, b.probing = at, true
	return 0, false
}

// count counts an exchange that was in the tier from began to at. While the
// breaker is open only those count that began when one was let in to try.
func (b *Breaker) count(began, at time.Duration, failed bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen {
		if !b.probing || began < b.opened {
			return
		}
		b.probing = false
		b.isOpen = failed
		b.opened = at
		b.slots = [windowSlots]tally{}
		return
	}
	b.slide(at)
	s := b.slot(b.current)
	s.total++
	if !failed {
		return
	}
	s.failed++
	if b.tooMany() {
		b.isOpen, b.probing, b.opened = true, false, at
	}
}

// slide moves the window to at and clears the slots that it enters.
func (b *Breaker) slide(at time.Duration) {
	last := b.slotOf(at)
	for i := max(b.current+1, last-windowSlots+1); i <= last; i++ {
		*b.slot(i) = tally{}
	}
	b.current = max(b.current, last)
}

// slotOf returns the number of the slot that at is in; it grows with at.
func (b *Breaker) slotOf(at time.Duration) int64 {
	return int64(at / max(b.settings.Window.D()/windowSlots, 1))
}

// slot returns where the slot of that number is counted, also before epoch.
func (b *Breaker) slot(number int64) *tally {
	return &b.slots[(number%windowSlots+windowSlots)%windowSlots]
}

func (b *Breaker) tooMany() bool {
	var total, failed int
	for _, s := range b.slots {
		total += s.total
		failed += s.failed
	}
	return total >= b.settings.MinRequests && failed*100 >= total*b.settings.FailureRate
}
