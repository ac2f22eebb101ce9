package cache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// What is counted is what is taken.
func TestMemoryIsCountedHonestly(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector takes memory of its own")
	}
	for _, size := range []int{0, 300, 10_000} {
		n := 10_000_000 / (size + 1000)
		s := open(t, Options{MemoryBytes: 512 << 20})
		sp := s.Space("p")
		before := heap()
		for i := range n {
			put(t, sp, fmt.Sprintf("https://example.com/some/path/%d", i), head("gzip", "tag-a", "tag-b"), strings.Repeat("x", size))
		}
		took, counted := float64(heap()-before), float64(s.Stats().Memory.Bytes)
		t.Logf("bodies of %d: takes %.0f bytes an entry, counts %.0f", size, took/float64(n), counted/float64(n))
		if took > 1.15*counted || took < 0.75*counted {
			t.Errorf("bodies of %d: %.0f bytes were taken, %.0f counted", size, took, counted)
		}
		runtime.KeepAlive(s)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 20
	s := open(t, Options{MemoryBytes: limit})
	sp := s.Space("p")
	for i := range 5000 {
		put(t, sp, fmt.Sprint(i), head("v"), strings.Repeat("x", i%4000))
		if got := s.Stats().Memory.Bytes; got > limit {
			t.Fatalf("%d bytes are held, more than %d", got, limit)
		}
	}
	stats := s.Stats().Memory
	if stats.Bytes < limit/2 || stats.Evictions == 0 {
		t.Errorf("got %+v", stats)
	}
	if n, err := sp.Purge(Selector{Kind: Prefix}, false); n != stats.Entries || err != nil {
		t.Errorf("purged %d, %v, want %d", n, err, stats.Entries)
	}
	if s.held != 0 || s.memory.len() != 0 || s.memory.bytes() != 0 { // but for ghosts
		t.Errorf("an empty store holds %d bytes, and %d of %d are queued", s.held, s.memory.len(), s.memory.bytes())
	}
}

// A scan of things used once pushes out nothing that is in use.
func TestEvictionResistsScans(t *testing.T) {
	s := open(t, Options{MemoryBytes: 1 << 20})
	sp := s.Space("p")
	body := strings.Repeat("x", 2000)
	const inUse = 150 // of about 360 that fit
	for i := range inUse {
		put(t, sp, fmt.Sprintf("used/%d", i), head("v"), body)
	}
	use := func() (there int) {
		for i := range inUse {
			if len(bodies(t, sp, fmt.Sprintf("used/%d", i))) > 0 {
				there++
			}
		}
		return there
	}
	for i := range 20_000 {
		if i%1000 == 0 {
			use()
		}
		put(t, sp, fmt.Sprintf("scan/%d", i), head("v"), body)
	}
	if got := use(); got < inUse*95/100 {
		t.Errorf("a scan left %d of %d entries that are in use", got, inUse)
	}
}

func TestFifoKeepsWhatIsPopular(t *testing.T) {
	var f fifo
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 1, 100_000)
	there := make(map[uint64]*node)
	hits, requests := 0, 200_000
	for range requests {
		key := zipf.Uint64()
		if n := there[key]; n != nil {
			hits++
			n.use()
			continue
		}
		n := &node{hash: key, size: 1}
		there[key] = n
		f.add(n)
		if f.len() > 1000 {
			delete(there, f.victim().hash)
		}
	}
	if f.len() != len(there) || f.bytes() != int64(len(there)) {
		t.Errorf("%d queued of %d bytes, want %d", f.len(), f.bytes(), len(there))
	}
	ratio := float64(hits) / float64(requests)
	t.Logf("1,000 of 100,000, Zipf 1.1: %.3f hits", ratio)
	if ratio < 0.60 {
		t.Errorf("hit ratio %.3f", ratio)
	}
	for f.len() > 0 {
		f.victim()
	}
	if f.victim() != nil || f.bytes() != 0 {
		t.Error("an empty fifo has a victim")
	}
	if n := len(f.ghosts.there); n > maxGhosts || len(f.ghosts.order) > maxGhosts {
		t.Errorf("%d ghosts", n)
	}
}

// Everything at once, in a store that is always too small.
func TestHammer(t *testing.T) {
	s := open(t, Options{MemoryBytes: 256 << 10})
	hammer(t, s)
	if got := s.Stats(); got.InFlight != 0 || got.Memory.Bytes > 256<<10 {
		t.Errorf("got %+v", got)
	}
}

func hammer(t *testing.T, s *Store) {
	t.Helper()
	var work sync.WaitGroup
	for g := range 8 {
		work.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for range 2000 {
				strike(t, s.Space(fmt.Sprint(random.IntN(2))), random)
			}
		})
	}
	work.Wait()
	for _, name := range []string{"0", "1"} {
		if _, err := s.Space(name).Purge(Selector{Kind: Prefix}, false); err != nil {
			t.Error(err)
		}
	}
	if s.entries != 0 || s.memory.len() != 0 {
		t.Errorf("%d entries and %d queued of an empty store", s.entries, s.memory.len())
	}
}

// strike does one thing, and checks that a body is that of its key.
func strike(t *testing.T, sp *Space, random *rand.Rand) {
	key := fmt.Sprintf("key-%d", random.IntN(64))
	switch random.IntN(20) {
	case 0:
		sel := []Selector{{Exact, key}, {Prefix, key}, {Tag, key}}[random.IntN(3)]
		if _, err := sp.Purge(sel, random.IntN(2) == 0); err != nil {
			t.Error(err)
		}
	case 1, 2, 3, 4, 5:
		w, err := sp.Create(key, head(fmt.Sprint(random.IntN(3)), key), sp.Now())
		if err != nil {
			t.Error(err)
			return
		}
		for range random.IntN(40) {
			_, _ = w.Write([]byte(strings.Repeat(key+".", 1+random.IntN(100))))
		}
		if random.IntN(8) == 0 {
			w.Abort()
		} else {
			_ = w.Commit() // it may be purged, or there may be no room
		}
	default:
		asked := sp.Now()
		set := sp.Lookup(key)
		defer set.Close()
		for i := range set.Len() {
			e := set.At(i)
			if random.IntN(10) == 0 {
				fresh, err := sp.Update(e, head(e.Variant, key), asked)
				if err != nil {
					t.Error(err)
					return
				}
				e = fresh
			}
			if got := bodyOf(t, e); strings.ReplaceAll(got, key+".", "") != "" || int64(len(got)) != e.Size {
				t.Errorf("%s: the body is another's", key)
			}
		}
	}
}
