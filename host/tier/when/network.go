package when

import (
	"net/netip"
	"slices"
)

// networks is a set of addresses: ranges in order, none of which overlap. Nil is
// no condition.
type networks []addressRange

type addressRange struct{ first, last netip.Addr }

func compileNetworks(prefixes []netip.Prefix) networks {
	var ranges networks
	for _, p := range prefixes {
		ranges = append(ranges, rangeOf(p))
	}
	slices.SortFunc(ranges, func(a, b addressRange) int { return a.first.Compare(b.first) })
	kept := ranges[:0]
	for _, r := range ranges {
		if n := len(kept); n > 0 && r.first.Compare(kept[n-1].last) <= 0 {
			if r.last.Compare(kept[n-1].last) > 0 {
				kept[n-1].last = r.last
			}
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// rangeOf returns a prefix's addresses; an IPv4 network written as IPv6 is IPv4.
func rangeOf(p netip.Prefix) addressRange {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return addressRange{p.Addr(), end}
}

// contain reports whether a is in the set.
func (n networks) contain(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	low, high := 0, len(n)
	for low < high {
		middle := (low + high) / 2
		if n[middle].last.Less(a) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(n) && !a.Less(n[low].first)
}
