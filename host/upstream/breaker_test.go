package upstream

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

func breakerSettings() *manifest.UpstreamBreaker {
	return &manifest.UpstreamBreaker{
		MaxRequests: 100, FailureRate: 50, MinRequests: 10,
		Window: manifest.Duration(10 * time.Second), Open: manifest.Duration(5 * time.Second),
	}
}

// pass takes one exchange through the breaker.
func pass(b *breaker, conf *manifest.UpstreamBreaker, v verdict) *wire.Error {
	probe, e := b.enter(conf, clock())
	if e != nil {
		return e
	}
	b.judge(conf, clock(), probe, v)
	b.leave()
	return nil
}

func TestBreakerOpensAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, conf := new(breaker), breakerSettings()
		for range 9 {
			pass(b, conf, bad)
		}
		if e := pass(b, conf, neutral); e != nil {
			t.Fatalf("9 of 10 needed: got %v", e)
		}
		pass(b, conf, bad)
		e := pass(b, conf, good)
		if e == nil || e.Cause != exchange.CauseCircuitOpen || !errors.Is(e, errBreakerOpen) {
			t.Fatalf("after 10 failures: got %v, want an open breaker", e)
		}
		if e.RetryAfter <= 4*time.Second || e.RetryAfter > 5*time.Second {
			t.Errorf("retry after: got %v, want the 5s it stays open", e.RetryAfter)
		}
	})
}

func TestBreakerForgetsOldFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, conf := new(breaker), breakerSettings()
		for range 9 {
			pass(b, conf, bad)
		}
		time.Sleep(11 * time.Second)
		pass(b, conf, bad)
		if e := pass(b, conf, good); e != nil {
			t.Errorf("failures outside the window: got %v", e)
		}
	})
}

func TestBreakerStaysClosedBelowTheRate(t *testing.T) {
	b, conf := new(breaker), breakerSettings()
	for range 50 {
		pass(b, conf, good)
		pass(b, conf, good)
		if e := pass(b, conf, bad); e != nil {
			t.Fatalf("33 %% of failures at a limit of 50 %%: %v", e)
		}
	}
}

func TestBreakerProbesWithOneExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, conf := new(breaker), breakerSettings()
		for range 10 {
			pass(b, conf, bad)
		}
		time.Sleep(6 * time.Second)
		probe, e := b.enter(conf, clock())
		if e != nil || !probe {
			t.Fatalf("half open: got probe %v, %v", probe, e)
		}
		if e := pass(b, conf, good); e == nil {
			t.Error("a second exchange passed beside the probe")
		}
		b.judge(conf, clock(), probe, bad)
		b.leave()
		if e := pass(b, conf, good); e == nil {
			t.Fatal("a failed probe did not open it again")
		}
		time.Sleep(6 * time.Second)
		if e := pass(b, conf, neutral); e != nil { // the probe's client went away
			t.Fatal(e)
		}
		if e := pass(b, conf, good); e != nil {
			t.Fatalf("after a probe without result: %v", e)
		}
		for range 5 {
			if e := pass(b, conf, good); e != nil {
				t.Fatalf("after a good probe: %v", e)
			}
		}
	})
}

func TestBreakerBoundsRequests(t *testing.T) {
	b, conf := new(breaker), breakerSettings()
	conf.MaxRequests = 2
	b.enter(conf, clock())
	b.enter(conf, clock())
	_, e := b.enter(conf, clock())
	if e == nil || e.Cause != exchange.CauseOverload || e.Blame != wire.BlameHost {
		t.Fatalf("third of two: got %v", e)
	}
	b.leave()
	if _, e := b.enter(conf, clock()); e != nil {
		t.Errorf("after one left: %v", e)
	}
}

func TestBreakerHammer(t *testing.T) {
	b, conf := new(breaker), breakerSettings()
	conf.Open, conf.MaxRequests = manifest.Duration(time.Microsecond), 4
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 5000 {
				pass(b, conf, verdict((n+i)%3))
			}
		})
	}
	group.Wait()
	if got := b.inFlight.Load(); got != 0 {
		t.Errorf("in flight at the end: got %d, want 0", got)
	}
	if b.probing.Load() {
		t.Error("a probe is still on its way")
	}
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := &manifest.Retry{Budget: 20, MinRetries: 3}
		b := new(budget)
		allowed := func(tries int) (n int) {
			for range tries {
				if b.allow(clock(), conf) {
					n++
				}
			}
			return n
		}
		if got := allowed(50); got != 3 {
			t.Errorf("without traffic: got %d retries in a second, want the 3 that are always allowed", got)
		}
		for range 1000 {
			b.request(clock())
		}
		if got := allowed(500) + 3; got != 200 {
			t.Errorf("with 1000 requests: got %d retries, want 20 %%", got)
		}
		time.Sleep(time.Second)
		if got := allowed(50); got != 3 {
			t.Errorf("a second later: got %d, want 3", got)
		}
		time.Sleep(11 * time.Second)
		b.request(clock())
		if got := allowed(50); got != 3 {
			t.Errorf("after the window has passed: got %d, want 3", got)
		}
	})
}

func TestOutlierEjectionGrowsAndForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &manifest.Outlier{Failures: 3, Ejection: manifest.Duration(10 * time.Second)}
		e := new(endpoint)
		always := func() bool { return true }
		eject := func() (length time.Duration) {
			for range 3 {
				length = e.hasFailed(o, clock(), always)
			}
			return length
		}
		for i, want := range []time.Duration{10, 20, 40, 80, 100, 100} {
			if got := eject(); got != want*time.Second {
				t.Errorf("ejection %d: got %v, want %vs", i+1, got, int(want))
			}
			if got := eject(); got != 0 {
				t.Errorf("while ejected: got another %v", got)
			}
			time.Sleep(want*time.Second + time.Millisecond)
		}
		time.Sleep(10 * 100 * time.Second)
		if got := eject(); got != 10*time.Second {
			t.Errorf("after a long good time: got %v, want the first length", got)
		}
	})
}

func TestOutlierCountsConsecutiveFailuresOnly(t *testing.T) {
	o := &manifest.Outlier{Failures: 3, Ejection: manifest.Duration(time.Second)}
	e := new(endpoint)
	always := func() bool { return true }
	for range 100 {
		e.hasFailed(o, clock(), always)
		e.hasFailed(o, clock(), always)
		e.succeeded()
	}
	if e.ejectedUntil.Load() != 0 {
		t.Error("ejected without three failures in a row")
	}
	for range 3 {
		e.hasFailed(o, clock(), func() bool { return false })
	}
	if e.ejectedUntil.Load() != 0 {
		t.Error("ejected though there was no room")
	}
	off := new(endpoint)
	for range 100 {
		off.hasFailed(&manifest.Outlier{}, clock(), always)
	}
	if off.ejectedUntil.Load() != 0 {
		t.Error("ejected though failures = 0 turns it off")
	}
}
