package tier

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

var breakerConfig = manifest.Tier{
	MaxInFlight: 10,
	Breaker: manifest.TierBreaker{
		FailureRate: 50, MinRequests: 4,
		Window: manifest.Duration(10 * time.Second), Open: manifest.Duration(5 * time.Second),
	},
}

func statusThrough(t *testing.T, tier *Tier, next upstream) int {
	x := newExchange()
	carry(t, x, next, tier)
	return x.Response.Status
}

func TestBreakerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newTierWith(t, breakerConfig)
		down := fails(exchange.Failure{Cause: exchange.CauseReset, Status: 502})
		up := replies(200, "")
		statusThrough(t, tier, up)
		statusThrough(t, tier, up)
		statusThrough(t, tier, down)
		if got := statusThrough(t, tier, down); got != 502 || !tier.Status().BreakerOpen {
			t.Fatalf("half of four failed: status %d, open %v; want 502, open", got, tier.Status().BreakerOpen)
		}

		x := newExchange()
		carry(t, x, up, tier)
		if x.Response.Status != 503 || x.Failure.Cause != exchange.CauseCircuitOpen || x.Response.Header.Value("retry-after") != "5" {
			t.Errorf("while open: status %d, failure %v, fields %v", x.Response.Status, x.Failure, x.Response.Header.Fields())
		}

		time.Sleep(5 * time.Second)
		if got := statusThrough(t, tier, down); got != 502 {
			t.Errorf("a probe got status %d, want 502", got)
		}
		if got := statusThrough(t, tier, up); got != 503 {
			t.Errorf("after a failed probe: status %d, want 503", got)
		}
		time.Sleep(5 * time.Second)
		if got := statusThrough(t, tier, up); got != 200 {
			t.Errorf("a probe got status %d, want 200", got)
		}
		if got := statusThrough(t, tier, up); got != 200 || tier.Status().BreakerOpen {
			t.Errorf("after a good probe: status %d", got)
		}
	})
}

func TestBreakerWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newTierWith(t, breakerConfig)
		down := fails(exchange.Failure{Cause: exchange.CauseReset, Status: 502})
		for range 3 {
			statusThrough(t, tier, down)
			time.Sleep(5 * time.Second)
		}
		statusThrough(t, tier, down)
		if tier.Status().BreakerOpen {
			t.Error("failures count beyond their window")
		}
	})
}

func TestBreakerBlame(t *testing.T) {
	answered := &fake{name: "a", failure: func(x *exchange.Exchange) (policy.Verdict, error) {
		x.Response.Status = 200
		return policy.Answer, nil
	}}
	cases := []struct {
		name    string
		tier    string
		failure exchange.Failure
		stages  []StageSpec
		opens   bool
	}{
		{"upstream", "service", exchange.Failure{Status: 502}, nil, true},
		{"client", "service", exchange.Failure{Status: 499}, nil, false},
		{"behind the edge", "edge", exchange.Failure{Status: 502}, nil, false},
		{"the other tier", "edge", exchange.Failure{Status: 500, Tier: "service"}, nil, false},
		{"the tier itself", "edge", exchange.Failure{Status: 500, Tier: "edge"}, nil, true},
		{"answered all the same", "service", exchange.Failure{Status: 502}, []StageSpec{stageOf(answered)}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tier, err := New(Spec{Name: c.tier, Config: breakerConfig, Stages: c.stages})
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				statusThrough(t, tier, fails(c.failure))
			}
			if got := tier.Status().BreakerOpen; got != c.opens {
				t.Errorf("open is %v, want %v", got, c.opens)
			}
		})
	}
}

func TestBreakerCountsOnlyTheProbe(t *testing.T) {
	const open = 5 * time.Second
	b := NewBreaker(breakerConfig.Breaker)
	for range 4 {
		b.count(0, 0, true)
	}
	b.count(0, 1, false)
	if !b.IsOpen() {
		t.Fatal("an exchange that was in the tier before it opened closed it")
	}
	if _, shed := b.open(open); shed {
		t.Fatal("no probe")
	}
	b.count(open-1, open+1, false)
	if !b.IsOpen() {
		t.Error("an exchange that began before the probe closed it")
	}
	b.count(open, open+1, false)
	if b.IsOpen() {
		t.Error("a good probe left it open")
	}
}

func TestBreakerCountsPanics(t *testing.T) {
	tier := newTierWith(t, breakerConfig, stageOf(&fake{name: "a", head: func(*exchange.Exchange) (policy.Verdict, error) {
		panic("on purpose")
	}}))
	for range breakerConfig.Breaker.MinRequests {
		func() {
			defer func() { _ = recover() }()
			carry(t, newExchange(), replies(200, ""), tier)
		}()
	}
	if !tier.Status().BreakerOpen {
		t.Error("exchanges that panicked do not count")
	}
}

func TestBreakerHammer(t *testing.T) {
	b := NewBreaker(manifest.TierBreaker{FailureRate: 50, MinRequests: 10, Window: 1000, Open: 100})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 2000 {
				at := time.Duration(i)
				if _, open := b.open(at); !open {
					b.count(at, at, (g+i)%2 == 0)
				}
				b.IsOpen()
			}
		})
	}
	group.Wait()
	const later = time.Hour
	b.open(later)
	b.count(later, later, false)
	if b.IsOpen() {
		t.Error("a good probe left it open")
	}
}
