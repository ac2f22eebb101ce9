package tier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func newBulkhead(places, queue int, timeout time.Duration) *Bulkhead {
	return NewBulkhead(manifest.Tier{MaxInFlight: places, Queue: queue, QueueTimeout: manifest.Duration(timeout)})
}

func TestBulkheadServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(1, 10, time.Minute)
		if err := b.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				if err := b.enter(t.Context()); err != nil {
					t.Errorf("waiter %d: %v", i, err)
					return
				}
				order = append(order, i)
				b.leave()
			}()
			synctest.Wait() // in line before the next one comes
		}
		if s := b.Status(); s.Queued != 5 || s.InFlight != 1 || s.Waits != 5 {
			t.Errorf("status is %+v, want 5 queued behind 1", s)
		}
		b.leave()
		synctest.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("served in the order %v", order)
			}
		}
		if s := b.Status(); s.Queued != 0 || s.InFlight != 0 || s.Shed != 0 || len(order) != 5 {
			t.Errorf("served %v, status is %+v", order, s)
		}
	})
}

func TestBulkheadBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(2, 1, 3*time.Second)
		for range 2 {
			if err := b.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var waited error
		began := time.Now()
		var took time.Duration
		go func() {
			waited = b.enter(t.Context())
			took = time.Since(began)
		}()
		synctest.Wait()
		if err := b.enter(t.Context()); !errors.Is(err, errFull) {
			t.Errorf("a full queue: got %v, want %v", err, errFull)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v to be refused", took)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if !errors.Is(waited, errFull) || took != 3*time.Second {
			t.Errorf("the one in line got %v after %v, want %v after 3s", waited, took, errFull)
		}
		if s := b.Status(); s.Shed != 2 || s.Queued != 0 || s.InFlight != 2 {
			t.Errorf("status is %+v", s)
		}
	})
}

// A place that is given back between the look for one and the line is not missed.
func TestBulkheadLineUpLooksAgain(t *testing.T) {
	b := newBulkhead(1, 1, time.Minute)
	if place, me := b.lineUp(); !place || me != nil {
		t.Errorf("got place %v, in line %v; want the free place", place, me != nil)
	}
	if s := b.Status(); s.InFlight != 1 || s.Queued != 0 {
		t.Errorf("status is %+v", s)
	}
}

// Nobody overtakes the line, not even while a place is on its way to it.
func TestBulkheadIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(1, 2, time.Minute)
		if err := b.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		served := false
		go func() { served = b.enter(t.Context()) == nil }()
		synctest.Wait()
		b.taken.Add(-1) // the first half of leave
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.enter(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v: it overtook the line", err)
		}
		b.serve() // the second half
		synctest.Wait()
		if !served {
			t.Error("the first in line was not served")
		}
	})
}

func TestBulkheadWithoutQueue(t *testing.T) {
	b := newBulkhead(1, 0, time.Minute)
	for range 3 {
		if err := b.enter(t.Context()); err != nil {
			t.Fatalf("an empty bulkhead: %v", err)
		}
		if err := b.enter(t.Context()); !errors.Is(err, errFull) {
			t.Fatalf("got %v, want %v", err, errFull)
		}
		b.leave()
	}
}

func TestBulkheadClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newTierWith(t, manifest.Tier{MaxInFlight: 1, Queue: 1, QueueTimeout: manifest.Duration(time.Minute)})
		if f := tier.Enter(newExchange()); f != nil {
			t.Fatal(f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got *exchange.Failure
		go func() {
			x := newExchange()
			x.SetContext(ctx)
			got = tier.Enter(x)
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got == nil || got.Cause != exchange.CauseClient || got.Status != 499 {
			t.Errorf("got %v, want 499", got)
		}
		if s := tier.Status().Bulkhead; s.Queued != 0 || s.Shed != 0 {
			t.Errorf("status is %+v: a client that left was not shed", s)
		}
	})
}

func TestBulkheadHammer(t *testing.T) {
	const places, queue, workers, rounds = 4, 8, 32, 2000
	b := newBulkhead(places, queue, 200*time.Microsecond)
	var inside, most, entered, refused atomic.Int64
	var group sync.WaitGroup
	for g := range workers {
		group.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for i := range rounds {
				if g == 0 && i == rounds/2 {
					cancel()
				}
				if b.enter(ctx) != nil {
					refused.Add(1)
					continue
				}
				entered.Add(1)
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				if q := b.Status().Queued; q > queue {
					t.Errorf("%d in a queue of %d", q, queue)
				}
				inside.Add(-1)
				b.leave()
			}
		})
	}
	group.Wait()
	if most.Load() > places {
		t.Errorf("%d were inside at once, want at most %d", most.Load(), places)
	}
	if entered.Load()+refused.Load() != workers*rounds || entered.Load() == 0 {
		t.Errorf("%d entered and %d were refused of %d", entered.Load(), refused.Load(), workers*rounds)
	}
	if s := b.Status(); s.InFlight != 0 || s.Queued != 0 {
		t.Errorf("at the end the status is %+v", s)
	}
	for range places {
		if err := b.enter(context.Background()); err != nil {
			t.Fatalf("a place was lost: %v", err)
		}
	}
}

func TestFits(t *testing.T) {
	config := manifest.Tier{MaxInFlight: 1, Queue: 2, QueueTimeout: 3,
		Breaker: manifest.TierBreaker{FailureRate: 50, MinRequests: 2, Window: 3, Open: 4}}
	tier := newTierWith(t, config)
	if !tier.Bulkhead().Fits(config) || !tier.Breaker().Fits(config.Breaker) {
		t.Error("a bulkhead or breaker does not fit the settings it was made by")
	}
	other := config
	other.Queue = 9
	other.Breaker.Open = 9
	if tier.Bulkhead().Fits(other) || tier.Breaker().Fits(other.Breaker) {
		t.Error("a bulkhead or breaker fits other settings")
	}
	if none := newTier(t).Breaker(); none != nil || !none.Fits(manifest.TierBreaker{}) || none.Fits(config.Breaker) {
		t.Errorf("got breaker %v without a failure rate", none)
	}
	carried, err := New(Spec{Name: "edge", Config: config, Bulkhead: tier.Bulkhead(), Breaker: tier.Breaker()})
	if err != nil {
		t.Fatal(err)
	}
	if carried.Bulkhead() != tier.Bulkhead() || carried.Breaker() != tier.Breaker() {
		t.Error("what was carried over is not used")
	}
}
