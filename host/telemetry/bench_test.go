package telemetry

import (
	"testing"
	"time"
)

// BenchmarkRED is what one part of the host costs for each exchange.
func BenchmarkRED(b *testing.B) {
	red := NewMetrics("bench").Policy("edge", "authenticate", "api-key", "1.0.0")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			red.Begin()
			red.End(3*time.Microsecond, Continued)
		}
	})
}

// BenchmarkUnsampled is what tracing costs an exchange that is not traced.
func BenchmarkUnsampled(b *testing.B) {
	tel, err := New(Config{OTLP: "http://127.0.0.1:1"}, "bench", quietLog())
	if err != nil {
		b.Fatal(err)
	}
	x := request("accept", "*/*", "user-agent", "bench", "traceparent", unsampledParent)
	b.ReportAllocs()
	for b.Loop() {
		tel.EndServer(x, tel.StartServer(x))
	}
	b.StopTimer()
	_ = tel.Shutdown(b.Context()) // there is nobody to send metrics to
}

// BenchmarkAccessLine is what a line of the access log costs.
func BenchmarkAccessLine(b *testing.B) {
	log := NewAccessLog(&countingWriter{}, "json", nil)
	x := ended()
	b.ReportAllocs()
	for b.Loop() {
		log.Log(x, time.Millisecond)
	}
	b.StopTimer()
	log.Close()
}

func BenchmarkGuestMetrics(b *testing.B) {
	g := NewMetrics("test").Guest("limit", "1.0.0")
	defer g.Close()
	counter, histogram := define(b, g, MetricCounter, "hits"), define(b, g, MetricHistogram, "size")
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			_ = g.Add(counter, 1)
		}
	})
	b.Run("observe", func(b *testing.B) {
		for b.Loop() {
			_ = g.Record(histogram, 1000)
		}
	})
}
