package policies

import (
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
)

// BenchmarkForward measures a whole visit of each shipped policy, both phases,
// with the first case that it lets pass.
func BenchmarkForward(b *testing.B) {
	for _, name := range cases.Folders(b) {
		b.Run(name, func(b *testing.B) { newSuite(b, name).Forward(b) })
	}
}

// BenchmarkHit measures exchanges that the cache answers from what it has stored.
func BenchmarkHit(b *testing.B) {
	s := newSuite(b, "cache")
	visit := s.Visits(b, &cases.Case{
		Request:  cases.Request{Header: map[string]cases.Values{"user-agent": {"bench"}, "accept": {"*/*"}}},
		Upstream: &cases.Response{Header: map[string]cases.Values{"cache-control": {"max-age=86400"}}, Body: "stored"},
	}, s.Load(b, "hit", map[string]any{}))
	if visit() {
		b.Fatal("answered before anything is stored")
	}
	b.ReportAllocs()
	for b.Loop() {
		if !visit() {
			b.Fatal("not answered")
		}
	}
}
