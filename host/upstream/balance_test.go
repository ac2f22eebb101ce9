package upstream

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// fleet makes members with these weights.
func fleet(weights ...uint64) []*member {
	var all []*member
	for i, w := range weights {
		e := &endpoint{upstream: "up", address: fmt.Sprintf("http://10.0.0.%d:80", i)}
		all = append(all, &member{endpoint: e, weight: w})
	}
	return all
}

var allBalancers = []string{"round-robin", "weighted", "least-request", "random", "maglev"}

// shares picks n times and returns each member's part.
func shares(b balancer, ms *members, n int, slowStart time.Duration) []float64 {
	index := map[*member]int{}
	for i, m := range ms.all {
		index[m] = i
	}
	counts := make([]float64, len(ms.all))
	for i := range n {
		q := query{hash: uint64(i), now: clock(), slowStart: int64(slowStart)}
		if m := pick(b, ms, &q); m != nil {
			counts[index[m]] += 1 / float64(n)
		}
	}
	return counts
}

func TestBalancersShareByWeight(t *testing.T) {
	cases := []struct {
		kind      string
		weights   []uint64
		want      []float64
		tolerance float64
	}{
		{"round-robin", []uint64{1, 1, 1, 1}, []float64{.25, .25, .25, .25}, 0.001},
		{"round-robin", []uint64{9, 1}, []float64{.5, .5}, 0.001}, // takes turns whatever the weights
		{"weighted", []uint64{5, 1, 1}, []float64{5. / 7, 1. / 7, 1. / 7}, 0.002},
		{"weighted", []uint64{1, 1}, []float64{.5, .5}, 0.002},
		{"least-request", []uint64{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}, 0.03},
		{"least-request", []uint64{3, 1}, []float64{.75, .25}, 0.03}, // idle endpoints, by weight alone
		{"random", []uint64{1, 3}, []float64{.25, .75}, 0.03},
		{"maglev", []uint64{1, 1, 1, 1}, []float64{.25, .25, .25, .25}, 0.03},
		{"maglev", []uint64{1, 2, 1}, []float64{.25, .5, .25}, 0.03},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.kind, c.weights), func(t *testing.T) {
			got := shares(newBalancer(c.kind, new(atomic.Uint64)), newMembers(fleet(c.weights...), c.kind), 20000, 0)
			for i := range got {
				if math.Abs(got[i]-c.want[i]) > c.tolerance {
					t.Errorf("member %d: got %.3f, want %.3f (all: %.3f)", i, got[i], c.want[i], got)
				}
			}
		})
	}
}

func TestWeightedSpreadsTurns(t *testing.T) {
	ms := newMembers(fleet(4, 1), "weighted")
	b := newBalancer("weighted", new(atomic.Uint64))
	run := 0
	for range 1000 {
		if m := pick(b, ms, &query{now: clock()}); m == ms.all[0] {
			run++
		} else {
			run = 0
		}
		if run > 8 { // smooth would be 4; drawing by chance reaches 30
			t.Fatalf("the heavy member was picked %d times in a row", run)
		}
	}
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	ms := newMembers(fleet(1, 1, 1), "least-request")
	ms.all[0].inFlight.Store(100)
	got := shares(leastRequest{}, ms, 10000, 0)
	if got[0] > 0.12 { // only if both choices fall on it: 1/9
		t.Errorf("busy member got %.3f of the picks, want about 0.07", got[0])
	}
	heavy := newMembers(fleet(10, 1), "least-request")
	heavy.all[0].inFlight.Store(5)
	heavy.all[1].inFlight.Store(1)
	if got := shares(leastRequest{}, heavy, 10000, 0); got[0] < 0.95 {
		t.Errorf("5 in flight at weight 10 is less load than 1 at weight 1: got %.3f, want above 0.95", got[0])
	}
}

func TestPickPassesOverUnavailable(t *testing.T) {
	for _, kind := range allBalancers {
		t.Run(kind, func(t *testing.T) {
			ms := newMembers(fleet(1, 1, 1, 1), kind)
			ms.all[1].ejectedUntil.Store(clock() + int64(time.Hour))
			down := &probe{}
			ms.all[2].probe = down
			got := shares(newBalancer(kind, new(atomic.Uint64)), ms, 20000, 0)
			if got[1] != 0 || got[2] != 0 {
				t.Errorf("unavailable members were picked: %.3f", got)
			}
			// The share of those that are out goes to all others alike.
			if math.Abs(got[0]-0.5) > 0.05 {
				t.Errorf("got %.3f, want the rest halved", got)
			}
			down.healthy.Store(true)
			if got := shares(newBalancer(kind, new(atomic.Uint64)), ms, 20000, 0); got[2] < 0.25 {
				t.Errorf("recovered member got %.3f", got[2])
			}
		})
	}
}

func TestPickPrefersUntriedThenAny(t *testing.T) {
	for _, kind := range allBalancers {
		t.Run(kind, func(t *testing.T) {
			ms := newMembers(fleet(1, 1, 1), kind)
			b := newBalancer(kind, new(atomic.Uint64))
			for i := range 1000 {
				q := query{hash: uint64(i), now: clock(), tried: []*endpoint{ms.all[0].endpoint, ms.all[2].endpoint}}
				if m := pick(b, ms, &q); m != ms.all[1] {
					t.Fatalf("got %v, want the one that was not tried", m)
				}
				q.tried = append(q.tried, ms.all[1].endpoint)
				if m := pick(b, ms, &q); m == nil {
					t.Fatal("all were tried: got none, want any")
				}
			}
			for _, m := range ms.all {
				m.ejectedUntil.Store(clock() + int64(time.Hour))
			}
			if m := pick(b, ms, &query{now: clock()}); m != nil {
				t.Errorf("none is available: got %s", m.address)
			}
			if m := pick(b, newMembers(nil, kind), &query{}); m != nil {
				t.Errorf("no members: got %s", m.address)
			}
		})
	}
}

func TestMaglevMovesFewKeys(t *testing.T) {
	const keys = 20000
	before := newMembers(fleet(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), "maglev")
	choose := func(ms *members, key uint64) string {
		return pick(hashed{}, ms, &query{hash: key, now: clock()}).address
	}
	chosen := make([]string, keys)
	for i := range chosen {
		chosen[i] = choose(before, uint64(i))
	}
	gone := before.all[3].address
	count := func(after *members) (moved int) {
		for i := range chosen {
			if now := choose(after, uint64(i)); now != chosen[i] && chosen[i] != gone {
				moved++
			}
		}
		return moved
	}
	after := newMembers(append(append([]*member{}, before.all[:3]...), before.all[4:]...), "maglev")
	if moved := count(after); moved > keys*4/100 {
		t.Errorf("removing 1 of 10 moved %d of %d keys of the others, want under 4 %%", moved, keys)
	}
	// One that is merely out for a while must move none of the others' keys.
	before.all[3].ejectedUntil.Store(clock() + int64(time.Hour))
	if moved := count(before); moved != 0 {
		t.Errorf("ejecting 1 of 10 moved %d keys of the others, want none", moved)
	}
	before.all[3].ejectedUntil.Store(0)
	if moved := count(before); moved != 0 {
		t.Errorf("%d keys did not come back", moved)
	}
}

func TestMaglevDoesNotDependOnOrder(t *testing.T) {
	all := fleet(1, 2, 3)
	a := newMembers(all, "maglev")
	b := newMembers([]*member{all[2], all[0], all[1]}, "maglev")
	for i := range uint64(5000) {
		q := query{hash: i, now: clock()}
		if x, y := pick(hashed{}, a, &q), pick(hashed{}, b, &q); x != y {
			t.Fatalf("key %d: %s here, %s there", i, x.address, y.address)
		}
	}
}

func TestSlowStartRamps(t *testing.T) {
	for _, kind := range allBalancers {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const ramp = 10 * time.Second
				ms := newMembers(fleet(1, 1), kind)
				ms.all[1].rampFrom.Store(clock())
				b := newBalancer(kind, new(atomic.Uint64))
				share := func() float64 { return shares(b, ms, 20000, ramp)[1] }
				last := share()
				if last > 0.08 || last == 0 {
					t.Errorf("at the start: got %.3f of the picks, want about a sixteenth of its share", last)
				}
				for range 4 {
					time.Sleep(ramp / 4)
					now := share()
					if now < last {
						t.Errorf("after another quarter: got %.3f, had %.3f", now, last)
					}
					last = now
				}
				if math.Abs(last-0.5) > 0.03 {
					t.Errorf("at the end: got %.3f, want its full share", last)
				}
			})
		})
	}
}

// Two generations look at the same endpoint; only one of them ramps.
func TestSlowStartOfOneEndpointStillServes(t *testing.T) {
	ms := newMembers(fleet(1), "round-robin")
	ms.all[0].rampFrom.Store(clock())
	for range 100 {
		q := query{now: clock(), slowStart: int64(time.Hour)}
		if pick(newBalancer("round-robin", new(atomic.Uint64)), ms, &q) == nil {
			t.Fatal("the only endpoint was held back")
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, kind := range allBalancers {
		for _, weights := range [][]uint64{{1, 1, 1, 1}, {1, 2, 3, 4}} {
			ms := newMembers(fleet(weights...), kind)
			ms.all[1].ejectedUntil.Store(clock() + int64(time.Hour))
			ms.all[2].rampFrom.Store(clock())
			b := newBalancer(kind, new(atomic.Uint64))
			tried := []*endpoint{ms.all[0].endpoint}
			q := new(query) // a part of the call
			got := testing.AllocsPerRun(1000, func() {
				*q = query{hash: 1, now: clock(), slowStart: int64(time.Hour), tried: tried}
				if pick(b, ms, q) == nil {
					t.Fatal("nothing picked")
				}
			})
			if got != 0 {
				t.Errorf("%s %v: got %v allocations, want 0", kind, weights, got)
			}
		}
	}
}

func TestHashSources(t *testing.T) {
	x := &exchange.Exchange{Request: exchange.Request{Target: "/a/b?c=d"}}
	x.Request.Header.Add("X-Tenant", "acme")
	x.Request.Header.Add("cookie", "a=1; sid=s7")
	cases := map[string]string{
		"header:x-tenant": "acme",
		"cookie:sid":      "s7",
		"path":            "/a/b",
		"client-ip":       x.ClientIP.String(),
	}
	for source, want := range cases {
		if got := hashOf(source)(x); got != hashString(want) {
			t.Errorf("%s: got another hash than that of %q", source, want)
		}
		x.Route.HashKey = "chosen"
		if got := hashOf(source)(x); got != hashString("chosen") {
			t.Errorf("%s: a policy's key did not win", source)
		}
		x.Route.HashKey = ""
	}
}

func BenchmarkPick(b *testing.B) {
	for _, kind := range allBalancers {
		b.Run(kind, func(b *testing.B) {
			ms := newMembers(fleet(1, 2, 3, 4, 5, 6, 7, 8), kind)
			balancer := newBalancer(kind, new(atomic.Uint64))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				q := query{now: clock()}
				for pb.Next() {
					q.hash++
					pick(balancer, ms, &q)
				}
			})
		})
	}
}
