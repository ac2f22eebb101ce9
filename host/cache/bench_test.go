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
		w, err := sp.Create(keys[i%len(keys)], h)
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
