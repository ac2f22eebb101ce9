//go:build unix

package plugins

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// BenchmarkFirewall measures what an exchange costs in processor time: of the host, of the process
// beside it without its start, and of the host with no policy in the same run.
func BenchmarkFirewall(b *testing.B) {
	text := strings.Repeat("lorem ipsum dolor sit amet consectetur ", 16<<10/39)
	for _, c := range []struct{ name, kind, body string }{
		{"get", "", ""},
		{"form of 100 bytes", "application/x-www-form-urlencoded", "name=somebody&text=" + strings.ReplaceAll(text[:80], " ", "+")},
		{"JSON of 1 KiB", "application/json", `{"text": "` + text[:1000] + `"}`},
		{"JSON of 16 KiB", "application/json", `{"text": "` + text + `"}`},
		{"upload of 32 KiB", "multipart/form-data; boundary=xyz", "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"cat.png\"\r\n\r\n" +
			strings.Repeat("\x01\x02\x03\x04", 8<<10) + "\r\n--xyz--\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, "waf")
			spec := s.Spec(b, map[string]any{})
			idle := ofProcess(b, s, spec, func(policy.Policy) {})
			var host time.Duration
			process := ofProcess(b, s, spec, func(p policy.Policy) {
				alone := s.Alone(b, p)
				before := processorTime(b, syscall.RUSAGE_SELF)
				b.ResetTimer()
				for range b.N {
					pass(b, alone, c.kind, c.body)
				}
				b.StopTimer()
				host = processorTime(b, syscall.RUSAGE_SELF) - before
			})
			per := func(d time.Duration) float64 { return float64(max(d, 0).Microseconds()) / float64(b.N) }
			b.ReportMetric(per(host), "host-us/op")
			b.ReportMetric(per(process-idle), "process-us/op")
			none := s.Alone(b, passing{})
			before := processorTime(b, syscall.RUSAGE_SELF)
			const many = 10_000
			for range many {
				pass(b, none, c.kind, c.body)
			}
			b.ReportMetric(float64((processorTime(b, syscall.RUSAGE_SELF)-before).Nanoseconds())/many/1000, "none-us/op")
		})
	}
}

// ofProcess is the processor time of a process that is started, used and ended.
func ofProcess(b *testing.B, s *cases.Suite, spec policy.Spec, use func(policy.Policy)) time.Duration {
	b.Helper()
	before := processorTime(b, syscall.RUSAGE_CHILDREN)
	p, release, err := s.Bench.Load(context.Background(), spec)
	if err != nil {
		b.Fatal(err)
	}
	use(p)
	if err := p.Close(context.Background()); err != nil {
		b.Error(err)
	}
	if err := release(); err != nil {
		b.Error(err)
	}
	return processorTime(b, syscall.RUSAGE_CHILDREN) - before
}

// processorTime is what has been used so far, of children once they have ended.
func processorTime(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func pass(b *testing.B, alone *tier.Tier, kind, body string) {
	x := ordinary("GET", exchange.HTTP11)
	if kind != "" {
		x = ordinary("POST", exchange.HTTP11, "Content-Type", kind)
		x.Request.Body, x.Request.Length = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	walk := new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		b.Fatal(f)
	}
	if answered, f := alone.Request(walk, x); answered || f != nil {
		b.Fatalf("answered %v with %d, %v", answered, x.Response.Status, f)
	}
	x.Route.Sent = true
	x.Response.Status = 200
	alone.Response(walk, x)
	alone.Done(walk, x)
	alone.Leave(x)
}

// passing is a policy that does nothing.
type passing struct{}

func (passing) Needs() policy.Needs                                 { return policy.Needs{} }
func (passing) Acquire(*exchange.Exchange) (policy.Instance, error) { return nil, nil }
func (passing) Release(policy.Instance)                             {}
func (passing) Stats() policy.Stats                                 { return policy.Stats{} }
func (passing) Close(context.Context) error                         { return nil }
