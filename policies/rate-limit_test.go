package policies

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/hosttest/race"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// hostWith is one host with a shipped policy, and what else the manifest says.
func hostWith(t *testing.T, name, text string, config map[string]any) *tier.Tier {
	t.Helper()
	s := openSuite(t, wasm.Options{}, name, text)
	s.Settings.Limits.Instances = 256
	return s.Alone(t, s.Load(t, name, config))
}

func limiter(t *testing.T, text string, config map[string]any) *tier.Tier {
	t.Helper()
	return hostWith(t, "rate-limit", text, config)
}

func limits(limit map[string]any) map[string]any {
	limit["name"] = "a"
	return map[string]any{"limits": []any{limit}}
}

// sharedBy is a manifest's text for hosts that share a Redis.
func sharedBy(server *hosttest.Redis, onUnavailable string) string {
	return fmt.Sprintf("[policy.rate-limit.kv]\nstore = \"shared\"\non_unavailable = %q\n[state]\nredis = { address = %q, timeout = \"1s\" }\n",
		onUnavailable, server.Address)
}

// status sends a request and returns what it is answered with; 200 if it goes on, and
// 500 if the policy failed.
func status(t *testing.T, host *tier.Tier, r cases.Request) int {
	t.Helper()
	x, walk := (&cases.Case{Request: r}).Exchange(t), new(tier.Walk)
	if f := host.Enter(x); f != nil {
		t.Error(f)
		return 0
	}
	defer host.Leave(x)
	defer host.Done(walk, x)
	answered, f := host.Request(walk, x)
	switch {
	case f != nil:
		return 500
	case answered:
		return x.Response.Status
	}
	return 200
}

// TestThreeHostsCountAsOne has three hosts with one Redis let pass what one limit says,
// within a hundredth.
func TestThreeHostsCountAsOne(t *testing.T) {
	const hosts = 3
	counts := []struct {
		name  string
		limit map[string]any
		last  time.Duration // how long the hosts are asked all the time
		want  func(lasted time.Duration) float64
	}{
		// Windows of 1 s that are full from their begin: four begin in 3.5 s.
		{"window", map[string]any{"key": []string{}, "requests": 300, "per": "1s"},
			3500 * time.Millisecond, func(time.Duration) float64 { return 4 * 300 }},
		{"bucket", map[string]any{"key": []string{}, "requests": 300, "per": "1s", "burst": 300, "algorithm": "bucket"},
			3500 * time.Millisecond, func(lasted time.Duration) float64 { return 300 + 300*lasted.Seconds() }},
	}
	for _, c := range counts {
		t.Run(c.name, func(t *testing.T) {
			text := sharedBy(hosttest.StartRedis(t), "fail")
			var all []*tier.Tier
			for range hosts {
				all = append(all, limiter(t, text, limits(c.limit)))
			}
			var passed, refused, asked atomic.Int64
			var work sync.WaitGroup
			began := time.Now()
			for _, host := range all {
				work.Go(func() {
					for since := time.Since(began); since < c.last; since = time.Since(began) {
						asked.Store(int64(since)) // as good as the last of all: the others are not long before
						switch got := status(t, host, cases.Request{}); got {
						case 200:
							passed.Add(1)
						case 429:
							refused.Add(1)
						default:
							t.Errorf("got status %d", got)
							return
						}
					}
				})
			}
			work.Wait()
			// The last request was counted between being asked and now.
			least, most := c.want(time.Duration(asked.Load())), c.want(time.Since(began))
			if race.Enabled {
				least = 0 // it asks too little to use up what passes
			}
			if got := float64(passed.Load()); got < least*0.99 || got > most*1.01 {
				t.Errorf("%.0f passed, want %.1f to %.1f within a hundredth; %d were refused", got, least, most, refused.Load())
			}
			t.Logf("%d passed, %.1f to %.1f wanted; %d refused", passed.Load(), least, most, refused.Load())
		})
	}
}

// TestRedisGoes: what happens while nobody can count is what the manifest says, and by
// default nothing passes.
func TestRedisGoes(t *testing.T) {
	server := hosttest.StartRedis(t)
	one := func() map[string]any {
		return limits(map[string]any{"key": "client", "requests": 2, "per": "1h"})
	}
	allow := one()
	allow["uncounted"] = "allow"
	hosts := []struct {
		name string
		host *tier.Tier
		want [4]int
	}{
		{"fail", limiter(t, sharedBy(server, "fail"), one()), [4]int{500, 500, 500, 500}},
		{"tell", limiter(t, sharedBy(server, "tell"), one()), [4]int{503, 503, 503, 503}},
		{"tell and allow", limiter(t, sharedBy(server, "tell"), allow), [4]int{200, 200, 200, 200}},
		{"local", limiter(t, sharedBy(server, "local"), one()), [4]int{200, 200, 429, 429}},
	}
	if got := status(t, hosts[0].host, cases.Request{Client: "192.0.2.99"}); got != 200 {
		t.Fatalf("with Redis: got %d", got)
	}
	server.Kill()
	for _, c := range hosts {
		for i, want := range c.want {
			if got := status(t, c.host, cases.Request{}); got != want {
				t.Errorf("%s: request %d: got %d, want %d", c.name, i, got, want)
			}
		}
	}
	server.Start()
	hosttest.Eventually(t, func() bool { return status(t, hosts[0].host, cases.Request{Client: "192.0.2.99"}) == 200 }, "requests are counted again")
}

// TestMadeUpKeysUndoNothing: a client that makes up keys fills the policy's room, and
// what was counted against anybody stays.
func TestMadeUpKeysUndoNothing(t *testing.T) {
	host := limiter(t, "[policy.rate-limit.kv]\nkeys = 100\n", map[string]any{"limits": []any{
		map[string]any{"name": "a", "key": "header:x-key", "requests": 2, "per": "1h"},
	}})
	with := func(key string) cases.Request { return cases.Request{Header: map[string]cases.Values{"x-key": {key}}} }
	for i, want := range []int{200, 200, 429} {
		if got := status(t, host, with("victim")); got != want {
			t.Fatalf("request %d: got %d, want %d", i, got, want)
		}
	}
	seen := map[int]int{}
	for i := range 1000 {
		seen[status(t, host, with(fmt.Sprint("made up ", i)))]++
	}
	if seen[200] != 99 || seen[503] != 901 {
		t.Errorf("got %v, want 99 that pass and 901 that are not counted", seen)
	}
	if got := status(t, host, with("victim")); got != 429 {
		t.Errorf("after made-up keys: got %d, want 429", got)
	}
}
