package meter

import (
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// What the meter costs is measured side by side: a round with and a round without,
// in turn. Reported are the median and the best of what the first takes in times
// of the second, and how many nanoseconds more a call takes.

// BenchmarkMeterLoop is of a guest that does nothing but loops: a sum over its
// memory. The goal is 1.25 times at most.
func BenchmarkMeterLoop(b *testing.B) {
	// for i = 0; i < 1 MiB; i += 4 { global += memory[i] }, with locals
	body := "\x01\x02\x7f" + // two locals
		loop +
		"\x20\x00\x28\x02\x00\x20\x01\x6a\x21\x01" + // sum += memory[at]
		"\x20\x00\x41\x04\x6a\x22\x00\x41\x80\x80\xc0\x00\x48" + brIf0 + // at += 4 < 1 MiB
		end + "\x20\x01\x24\x00" + end
	compareCost(b, 1, moduleOf(
		section(sectionType, oneType), section(sectionFunction, "\x01\x00"), section(sectionMemory, "\x01\x00\x10"),
		section(sectionGlobal, "\x01\x7f\x01\x41\x00\x0b"), section(sectionExport, "\x01\x03run\x00\x00"),
		section(sectionCode, "\x01"+string(appendSized(nil, []byte(body))))))
}

// BenchmarkMeterRecursion is the dearest: it does nothing but calls.
func BenchmarkMeterRecursion(b *testing.B) {
	fib := "\x00\x20\x00\x41\x02\x48\x04\x7f\x20\x00\x05\x20\x00\x41\x01\x6b\x10\x00\x20\x00\x41\x02\x6b\x10\x00\x6a\x0b\x0b"
	run := "\x00\x41\x14\x10\x00\x1a\x0b"
	compareCost(b, 5, moduleOf(
		section(sectionType, "\x02\x60\x01\x7f\x01\x7f\x60\x00\x00"), section(sectionFunction, "\x02\x00\x01"),
		section(sectionExport, "\x01\x03run\x00\x01"),
		section(sectionCode, "\x02"+string(appendSized(nil, []byte(fib)))+string(appendSized(nil, []byte(run))))))
}

// BenchmarkMeterEmptyCall is of a function that calls one that does nothing. The
// goal is 50 ns more at most.
func BenchmarkMeterEmptyCall(b *testing.B) {
	compareCost(b, 10_000, plainFunctions("", call1))
}

// BenchmarkMeterCopy is of a guest that moves memory.
func BenchmarkMeterCopy(b *testing.B) {
	compareCost(b, 500, plainFunctions(zero+"\x41\x80\x80\x20"+"\x41\x80\x80\x02"+"\xfc\x0a\x00\x00")) // 32 KiB
}

// compareCost runs a module's "run", so many times in a round.
func compareCost(b *testing.B, calls int, module []byte) {
	var runs [2]api.Function
	for n, rewrite := range []func([]byte) ([]byte, error){same, Rewrite} {
		runs[n] = newMachine(b, rewrite, nil).load(b, module).ExportedFunction("run")
	}
	var took [2][]time.Duration
	for b.Loop() {
		for n, run := range runs {
			took[n] = append(took[n], timeOf(b, run, calls))
		}
	}
	times := make([]float64, len(took[0]))
	for n, before := range took[0] {
		times[n] = float64(took[1][n]) / float64(before)
	}
	slices.Sort(times)
	best := [2]time.Duration{slices.Min(took[0]), slices.Min(took[1])}
	b.ReportMetric(times[len(times)/2], "times")
	b.ReportMetric(float64(best[1])/float64(best[0]), "times-at-best")
	b.ReportMetric(float64(best[1]-best[0])/float64(calls), "ns-more/call")
}

func timeOf(b *testing.B, run api.Function, calls int) time.Duration {
	start := time.Now()
	for range calls {
		if err := run.CallWithStack(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
