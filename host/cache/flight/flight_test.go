package flight

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// waitFor has n wait for a flight, and returns when they do.
func waitFor(t *testing.T, f *Group, flight *Flight, ctx context.Context, n int) <-chan Outcome {
	t.Helper()
	outcomes := make(chan Outcome, n)
	before := f.Stats().Waiting
	for range n {
		go func() { outcomes <- flight.Wait(ctx) }()
	}
	for late := time.Now().Add(10 * time.Second); ; {
		f.mu.Lock()
		waiting := flight.waiting
		f.mu.Unlock()
		if int64(waiting) == before+int64(n) {
			return outcomes
		}
		if time.Now().After(late) {
			t.Fatalf("%d wait, want %d more than %d", waiting, n, before)
		}
	}
}

// TestFetchIsHandedOver fails a fetch that a hundred wait for as often as there is one left.
func TestFetchIsHandedOver(t *testing.T) {
	const many = 100
	var f Group
	flight, _ := f.Join("k")
	outcomes := waitFor(t, &f, flight, t.Context(), many)
	for n := range many {
		flight.HandOver()
		if got := <-outcomes; got != Leads {
			t.Fatalf("waiter %d: got %d, want %d", n, got, Leads)
		}
		if len(outcomes) > 0 {
			t.Fatalf("more than one was told when fetch %d failed", n)
		}
		if there, leads := f.Join("k"); leads || there != flight {
			t.Fatal("another one leads, too")
		}
	}
	flight.HandOver()
	if s := f.Stats(); s.Flights != 0 || s.Waiting != 0 {
		t.Errorf("after the last one: %+v", s)
	}
}

// TestHandOverHammer has fetches fail while those who wait for them come and go: each key
// has one leader at most, and nothing is left.
func TestHandOverHammer(t *testing.T) {
	var f Group
	var leading atomic.Int64
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%4)*10*time.Microsecond)
				flight, leads := f.Join("k")
				if leads || flight.Wait(ctx) == Leads {
					if got := leading.Add(1); got != 1 {
						t.Errorf("%d lead", got)
					}
					leading.Add(-1)
					if (n+i)%3 == 0 {
						flight.End(false)
					} else {
						flight.HandOver()
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	if s := f.Stats(); s.Flights != 0 || s.Waiting != 0 {
		t.Errorf("left: %+v", s)
	}
}
