package cache

import (
	"strings"
	"testing"
)

func BenchmarkHit(b *testing.B) {
	sp := open(b, Options{}).Space("p")
	put(b, sp, "https://example.com/a", head("v"), strings.Repeat("x", 10<<10))
	benchmarkOpen(b, sp, "https://example.com/a")
}

func benchmarkOpen(b *testing.B, sp *Space, key string) {
	b.ReportAllocs()
	for b.Loop() {
		set := sp.Lookup(key)
		r, err := set.At(0).Open(0, -1)
		if err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
		set.Close()
	}
}

func BenchmarkHitParallel(b *testing.B) {
	sp := open(b, Options{}).Space("p")
	put(b, sp, "https://example.com/a", head("v"), strings.Repeat("x", 10<<10))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			set := sp.Lookup("https://example.com/a")
			set.Close()
		}
	})
}

func BenchmarkStore10KiB(b *testing.B) { benchmarkStore(b, open(b, Options{}).Space("p")) }

func benchmarkStore(b *testing.B, sp *Space) {
	body := make([]byte, 10<<10)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = "https://example.com/" + strings.Repeat("x", i%10) + string(rune('0'+i))
	}
	h := head("v", "tag")
	h.Size = int64(len(body))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w, err := sp.Create(keys[i%len(keys)], h, sp.Now())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// A hit of a body that is on disk only: a small one as it comes into memory, and a
// large one as a file.
func BenchmarkDiskHit(b *testing.B) {
	s := openAgain(b, onFolder(b, 16<<20, 64<<20))
	put(b, s.Space("p"), "small", head("v"), strings.Repeat("x", 10<<10))
	put(b, s.Space("p"), "large", head("v"), strings.Repeat("x", 2<<20))
	s = reopen(b, s)
	defer closeStore(b, s)
	sp := s.Space("p")
	b.Run("10KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set := sp.Lookup("small")
			r, err := set.At(0).Open(0, -1)
			if err != nil {
				b.Fatal(err)
			}
			_ = r.Close()
			s.mu.Lock()
			it := set.At(0).item
			s.memory.remove(&it.memory)
			s.leaveMemory(it)
			s.mu.Unlock()
			set.Close()
		}
	})
	b.Run("2MiB", func(b *testing.B) { benchmarkOpen(b, sp, "large") })
}

// Purges by prefix and tag look at every entry.
func BenchmarkPurgeTag10000(b *testing.B) {
	sp := open(b, Options{}).Space("p")
	for i := range 10_000 {
		put(b, sp, strings.Repeat("k", i%100)+string(rune('0'+i)), head("v", "a", "b"), "x")
	}
	for b.Loop() {
		if n, err := sp.Purge(Selector{Tag, "c"}, false); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}
