package policies

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

// prefixes makes networks of both families, many of which lie within each other.
func prefixes(random *rand.Rand, count int) []netip.Prefix {
	list := make([]netip.Prefix, 0, count)
	seen := map[netip.Prefix]bool{}
	for len(list) < count {
		address, bits := netip.AddrFrom4([4]byte(draw(random, 4))), 8+random.IntN(25)
		if random.IntN(2) == 0 {
			address, bits = netip.AddrFrom16([16]byte(append([]byte{0x20, 0x01, 0x0d}, draw(random, 13)...))), 20+random.IntN(109)
		}
		if len(list) > 0 && random.IntN(3) == 0 { // within or around one that is there
			inner := list[random.IntN(len(list))]
			address, bits = inner.Addr(), 1+random.IntN(inner.Addr().BitLen())
		}
		if p, err := address.Prefix(bits); err == nil && !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}

func draw(random *rand.Rand, count int) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, random.Uint64()), random.Uint64())[:count]
}

// longest is what ip-filter has to say, found by looking at every network.
func longest(lists map[bool][]netip.Prefix, a netip.Addr, otherwise bool) bool {
	verdict, bits := otherwise, -1
	for allowed, list := range lists {
		for _, p := range list {
			if p.Contains(a) && p.Bits() > bits {
				verdict, bits = allowed, p.Bits()
			}
		}
	}
	return verdict
}

// TestIPFilterFindsTheLongestPrefix compares with a search through all networks: at
// their edges, where mistakes would be, and at addresses by chance.
func TestIPFilterFindsTheLongestPrefix(t *testing.T) {
	s := newSuite(t, "ip-filter")
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := prefixes(random, 600)
		lists := map[bool][]netip.Prefix{true: all[:200+100*seed], false: all[200+100*seed:]}
		word := map[bool]string{true: "allow", false: "deny"}[seed%2 == 0]
		line := s.Alone(t, s.Load(t, "random", map[string]any{"allow": lists[true], "deny": lists[false], "default": word}))
		wrong := 0
		for _, p := range all {
			first := p.Addr()
			for _, a := range []netip.Addr{first, first.Prev(), last(p), last(p).Next(), netip.AddrFrom16(first.As16())} {
				if !a.IsValid() {
					continue
				}
				want := longest(lists, a.Unmap(), seed%2 == 0)
				if got := letsIn(t, line, a); got != want {
					t.Errorf("seed %d: %s: let in %v, want %v", seed, a, got, want)
					wrong++
				}
			}
			if wrong > 5 {
				t.FailNow()
			}
		}
	}
}

func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// letsIn asks about a client of an address.
func letsIn(t testing.TB, line *tier.Tier, client netip.Addr) bool {
	t.Helper()
	x, walk := new(exchange.Exchange), new(tier.Walk)
	x.ClientIP, x.Conn = client, &exchange.Conn{Remote: netip.AddrPortFrom(client, 4711)}
	x.Request = exchange.Request{Method: "GET", Scheme: "http", Authority: "example.com", Target: "/", Version: exchange.HTTP11}
	if f := line.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer line.Leave(x)
	answered, f := line.Request(walk, x)
	if f != nil {
		t.Fatal(f)
	}
	line.Done(walk, x)
	return !answered
}

// A table that is full takes what it says it does, and no more.
func TestIPFilterIsBounded(t *testing.T) {
	const most = 131072
	s := newSuite(t, "ip-filter")
	list := many(most)
	line := s.Alone(t, s.Load(t, "full", map[string]any{"deny": []string{list}}))
	for client, want := range map[string]bool{"11.0.0.0": false, "11.0.0.1": true, "11.3.255.254": false, "11.4.0.0": true} {
		if got := letsIn(t, line, netip.MustParseAddr(client)); got != want {
			t.Errorf("%s: let in %v, want %v", client, got, want)
		}
	}
	_, _, err := s.Bench.Load(context.Background(), s.Spec(t, map[string]any{"deny": []string{list + "10.0.0.0/8"}}))
	if want := "config.deny[0], line 131073: is one network more than 131072"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// many is a file with networks that do not touch each other.
func many(count int) string {
	var b strings.Builder
	for n := range count {
		fmt.Fprintf(&b, "11.%d.%d.%d/32\n", n>>15, n>>7&255, n<<1&255)
	}
	return b.String()
}

// BenchmarkIPFilter is what an exchange costs, by the length of the list, with clients
// from all over it.
func BenchmarkIPFilter(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	clients := make([]netip.Addr, 4096)
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{11, byte(random.IntN(4)), byte(random.Uint32()), byte(random.Uint32() | 1)}) // odd ones are let in
	}
	for _, count := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("networks=%d", count), func(b *testing.B) {
			s := newSuite(b, "ip-filter")
			line := s.Alone(b, s.Load(b, "many", map[string]any{"allow": []string{"11.0.0.0/8"}, "deny": []string{many(count)}}))
			for n := 0; b.Loop(); n++ {
				letsIn(b, line, clients[n%len(clients)])
			}
		})
	}
}

// FuzzIPFilterNetworks reads a list as netip does, or not at all.
func FuzzIPFilterNetworks(f *testing.F) {
	for _, text := range []string{
		"10.0.0.0/8", "10.0.0.1/8", "192.0.2.7", "192.0.2.07", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.4/33", "1.2.3.4/",
		"1.2.3.4/032", "0.0.0.0/0", "::/0", "::", "::1", "1::", "1::2::3", ":1", "1:", ":::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
		"1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8", "12345::", "::ffff:10.0.0.0/104", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
		"1::1.2.3.4:5", "::1.2.3.4.5", "fe80::1%eth0", "2001:DB8::/32", "2001:db8::/129", "2001:db8::1/64", "1.2.3.4::", "::/", "G::", "/8", "::1 2",
	} {
		f.Add(text)
	}
	s := newSuite(f, "ip-filter")
	s.Load(f, "example", s.Artifact.File.Example) // so that the module stays compiled
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\n\r\t #;%") || len(text) > 100 || text == "" {
			t.Skip("not one network")
		}
		var said bytes.Buffer
		spec := s.Spec(t, map[string]any{"deny": []string{text}})
		spec.Log = slog.New(slog.NewTextHandler(&said, nil))
		p, release, err := s.Bench.Load(context.Background(), spec)
		if want := netipTakes(text); want != (err == nil) {
			t.Errorf("%q: got %v, want it to load: %v", text, err, want)
		}
		if err == nil {
			if err := p.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
		}
	})
}

// netipTakes says whether net/netip reads a text as a network without host bits.
func netipTakes(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	p, err := netip.ParsePrefix(text)
	return err == nil && p.Masked() == p
}
