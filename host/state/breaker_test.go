package state

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	b, now := new(breaker), time.Hour
	for n := range breakerFailures {
		if !b.allow(now) {
			t.Fatalf("open after %d failures", n)
		}
		if opened := b.fail(now); opened != (n == breakerFailures-1) {
			t.Errorf("failure %d: opened %t", n, opened)
		}
	}
	if b.allow(now) || !b.open() {
		t.Error("not open after enough failures")
	}
	now += breakerPause
	if !b.allow(now) || b.allow(now) {
		t.Error("not one try after the pause")
	}
	if b.fail(now) {
		t.Error("a try that failed opened it a second time")
	}
	now += breakerPause
	if !b.allow(now) {
		t.Error("no try after the second pause")
	}
	if !b.succeed() || b.open() || !b.allow(now) {
		t.Error("not closed after a success")
	}
	b.fail(now)
	b.succeed()
	for range breakerFailures - 1 {
		b.fail(now)
	}
	if b.open() {
		t.Error("open though a success was among the failures")
	}
}

func TestHammerBreaker(t *testing.T) {
	var (
		b       breaker
		clock   = newClock()
		work    sync.WaitGroup
		down    atomic.Bool
		tries   atomic.Int64
		entered = breakerFailures + 8 // those that were let in before it opened
	)
	down.Store(true)
	for range 8 {
		work.Go(func() {
			for range 2000 {
				if !b.allow(clock.now()) {
					continue
				}
				tries.Add(1)
				if down.Load() {
					b.fail(clock.now())
				} else {
					b.succeed()
				}
			}
		})
	}
	work.Wait()
	if got := tries.Load(); got > int64(entered) {
		t.Errorf("%d tries without a pause, want %d at most", got, entered)
	}
	down.Store(false)
	clock.pass(breakerPause)
	if !b.allow(clock.now()) || !b.succeed() || b.open() {
		t.Error("it does not close again")
	}
}
