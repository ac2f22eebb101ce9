package upstream

import (
	"math/rand/v2"
	"sort"
	"sync/atomic"
)

// members is what a balancer chooses from. It never changes; a new one takes
// its place.
type members struct {
	all []*member
	// cumulative holds the running sum of weights; nil if all are equal.
	cumulative []uint64
	total      uint64
	slots      []uint16 // of maglev only
}

// member is an endpoint as one generation sees it.
type member struct {
	*endpoint
	weight uint64
	probe  *probe // nil without active health checks
	via    transport
	// keys name the shared parts that it is made of: what generations must agree
	// on to share them.
	keys struct{ endpoint, link, probe string }
}

func newMembers(all []*member, balance string) *members {
	ms := &members{all: all, total: uint64(len(all))}
	equal := true
	for _, m := range all {
		equal = equal && m.weight == all[0].weight
	}
	if !equal {
		ms.total = 0
		ms.cumulative = make([]uint64, len(all))
		for i, m := range all {
			ms.total += m.weight
			ms.cumulative[i] = ms.total
		}
	}
	if balance == "maglev" {
		ms.slots = maglev(all)
	}
	return ms
}

// at returns the member whose share of the weights holds point, < total.
func (ms *members) at(point uint64) *member {
	if ms.cumulative == nil {
		return ms.all[point]
	}
	return ms.all[sort.Search(len(ms.cumulative), func(i int) bool { return ms.cumulative[i] > point })]
}

// query is what a pick depends on besides the members.
type query struct {
	hash      uint64
	now       int64 // of clock
	slowStart int64 // nanoseconds, 0 for none
	tried     []*endpoint
}

// balancer chooses a member that is available, not yet tried, and not held back
// by its slow start. It may give up and return nil though there is one: the
// caller then takes any. It is safe for concurrent use and does not allocate.
type balancer interface {
	pick(ms *members, q *query) *member
}

func newBalancer(kind string, turn *atomic.Uint64) balancer {
	switch kind {
	case "round-robin":
		return roundRobin{turn}
	case "weighted":
		return weighted{turn}
	case "random":
		return random{}
	case "maglev":
		return hashed{}
	}
	return leastRequest{}
}

// pick chooses an endpoint for the next try: by the balancer, else any that is
// available and was not tried, else one that was tried. Nil means that none is
// available.
func pick(b balancer, ms *members, q *query) *member {
	switch len(ms.all) {
	case 0:
		return nil
	case 1: // nobody else could take its place, whatever it is held back by
		if m := ms.all[0]; m.available(q.now) {
			return m
		}
		return nil
	}
	if m := b.pick(ms, q); m != nil {
		return m
	}
	start := rand.IntN(len(ms.all))
	var again *member
	for i := range ms.all {
		m := ms.all[(start+i)%len(ms.all)]
		if !m.available(q.now) {
			continue
		}
		if !q.hasTried(m) {
			return m
		}
		again = m
	}
	return again
}

// fits reports whether m may be picked. Chance decides about a member in its slow
// start.
func (q *query) fits(m *member) bool {
	return m.available(q.now) && !q.hasTried(m) && (q.slowStart == 0 || m.ramped(q, rand.Uint32()))
}

func (q *query) hasTried(m *member) bool {
	for _, e := range q.tried {
		if e == m.endpoint {
			return true
		}
	}
	return false
}

// available reports whether the endpoint is healthy and not ejected.
func (m *member) available(now int64) bool {
	return m.ejectedUntil.Load() <= now && (m.probe == nil || m.probe.healthy.Load())
}

// leastShare is what a slow start begins with: a sixteenth of the share.
const leastShare = 1 << 28

// ramped lets a growing part of all chances, from 0 to 2^32-1, through while the
// slow start lasts.
func (m *member) ramped(q *query, chance uint32) bool {
	start := m.rampFrom.Load()
	if start == 0 {
		return true
	}
	elapsed := q.now - start
	if elapsed >= q.slowStart {
		return true
	}
	share := float64(elapsed) / float64(q.slowStart) * (1 << 32)
	return float64(chance) < max(share, leastShare)
}

// roundRobin takes turns. A member that is passed over uses up its turn, so
// that its share goes to all others and not to its neighbour.
type roundRobin struct{ turn *atomic.Uint64 }

func (b roundRobin) pick(ms *members, q *query) *member {
	n := uint64(len(ms.all))
	for range 2 * n {
		if m := ms.all[b.turn.Add(1)%n]; q.fits(m) {
			return m
		}
	}
	return nil
}

// weighted takes turns in proportion to weights. Turn i falls on the fraction
// of i times the golden ratio, which spreads turns as evenly as any order can
// (Knuth, volume 3, 6.4) and needs no state but the counter.
type weighted struct{ turn *atomic.Uint64 }

const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio

func (b weighted) pick(ms *members, q *query) *member {
	for range 4 * len(ms.all) {
		point := (b.turn.Add(1) * golden) >> 32 * ms.total >> 32
		if m := ms.at(point); q.fits(m) {
			return m
		}
	}
	return nil
}

// random draws in proportion to weights.
type random struct{}

func (random) pick(ms *members, q *query) *member {
	for range 4 * len(ms.all) {
		if m := ms.at(rand.Uint64N(ms.total)); q.fits(m) {
			return m
		}
	}
	return nil
}

// leastRequest draws two members in proportion to weights and takes the one
// with fewer requests in flight for its weight (Mitzenmacher, "The Power of Two
// Choices").
type leastRequest struct{}

func (leastRequest) pick(ms *members, q *query) *member {
	a := random{}.pick(ms, q)
	if a == nil || len(ms.all) == 1 {
		return a
	}
	b := random{}.pick(ms, q)
	if b == nil || b == a {
		b = random{}.pick(ms, q) // once more, so that two members share evenly too
	}
	if b != nil && uint64(b.inFlight.Load())*a.weight < uint64(a.inFlight.Load())*b.weight {
		return b
	}
	return a
}
