package process

import (
	"sync"
	"testing"
)

// BenchmarkRequest is a visit that looks at a head alone, with 64 in flight.
func BenchmarkRequest(b *testing.B) {
	p := newBench(b, policyFile, `{"do": "nothing", "fields": ["accept"]}`).load(b)
	const inFlight = 64
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for n := range inFlight {
		group.Go(func() {
			for i := n; i < b.N; i += inFlight {
				if _, err := visitOnce(b, p, newExchange("accept", "*/*")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
}
