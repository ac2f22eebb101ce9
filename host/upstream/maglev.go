package upstream

import (
	"slices"
	"strings"
)

// maglevSlots is the table's size: a prime, and far more than the endpoints, so
// that shares differ by about one percent for 650 of them (Eisenbud et al.,
// "Maglev", NSDI 2016, 3.4 and 5.3). It must not depend on their number, else a
// new endpoint would move every key.
const maglevSlots = 65537

// maglev fills the table: members take turns, in proportion to weights, at
// claiming the next free slot of a permutation that is their own.
func maglev(all []*member) []uint16 {
	if len(all) == 0 {
		return nil
	}
	order := make([]uint16, len(all)) // the same in every process, whatever the manifest's order
	heaviest := uint64(1)
	for i, m := range all {
		order[i] = uint16(i)
		heaviest = max(heaviest, m.weight)
	}
	slices.SortFunc(order, func(a, b uint16) int { return strings.Compare(all[a].address, all[b].address) })

	const free = ^uint16(0)
	slots := slices.Repeat([]uint16{free}, maglevSlots)
	claims := newClaims(all)
	for taken := 0; ; {
		for _, i := range order {
			c := &claims[i]
			if c.credit += all[i].weight; c.credit < heaviest {
				continue
			}
			c.credit -= heaviest
			slot := c.next()
			for slots[slot] != free {
				slot = c.next()
			}
			slots[slot] = i
			if taken++; taken == maglevSlots {
				return slots
			}
		}
	}
}

// claim walks a member's permutation of the slots.
type claim struct{ at, skip, credit uint64 }

func newClaims(all []*member) []claim {
	claims := make([]claim, len(all))
	for i, m := range all {
		h := hashString(m.address)
		claims[i] = claim{at: h % maglevSlots, skip: mix(h)%(maglevSlots-1) + 1}
	}
	return claims
}

func (c *claim) next() uint64 {
	slot := c.at
	c.at = (c.at + c.skip) % maglevSlots
	return slot
}

// hashed sends equal hashes to the same member as long as it is available, and
// moves few others when one comes or goes.
type hashed struct{}

func (hashed) pick(ms *members, q *query) *member {
	h := mix(q.hash)
	for range 4 * len(ms.all) {
		// A slow start lets a growing part of the keys through, always the same.
		if m := ms.all[ms.slots[h%maglevSlots]]; m.available(q.now) && !q.hasTried(m) && (q.slowStart == 0 || m.ramped(q, uint32(mix(h)>>32))) {
			return m
		}
		h = mix(h + golden)
	}
	return nil
}

// hashString is FNV-1a: the same in every process, so that hosts agree.
func hashString(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// mix spreads every bit over all others (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
