package httpwasm

import (
	"context"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// headerOnly is what most policies do: look at a field, set one each way.
var headerOnly = script{
	request: []step{
		do("get_header_values", requestFields, "x-api-key", out(0), room),
		do("get_uri", out(1), room),
		do("set_header_value", requestFields, "x-consumer", "somebody"),
		do("remove_header", requestFields, "x-api-key-of-a-name-longer-than-a-small-buffer"),
	},
	response: []step{
		do("get_status_code"),
		do("set_header_value", responseFields, "x-policy", "1"),
	},
}

func loadFor(t testing.TB, options wasm.Options, s script) *Policy {
	t.Helper()
	engine, err := wasm.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close(context.Background()) })
	return loadSpec(t, engine, specOf(s))
}

// passAgain carries the same exchange once more; what the policy added to it
// the time before is replaced in place.
func passAgain(t testing.TB, p *Policy, x *exchange.Exchange) {
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	if err := p.OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	p.Release(i)
}

// The host's part of a header-only exchange allocates nothing. What stops a
// guest at its deadline is wazero's and is left out: it makes a goroutine, a
// channel and a closure for each call, as the benchmark shows.
func TestAllocations(t *testing.T) {
	p := loadFor(t, wasm.Options{Unmetered: true}, headerOnly)
	x := newExchange()
	x.Request.Header.Add("X-Api-Key", "secret")
	x.Response.Status = 200
	if got := testing.AllocsPerRun(200, func() { passAgain(t, p, x) }); got != 0 {
		t.Errorf("%v allocations for an exchange, want none", got)
	}
}

func BenchmarkHeaderOnlyExchange(b *testing.B) {
	for _, bench := range []struct {
		name    string
		options wasm.Options
		script  script
	}{
		{"metered", wasm.Options{}, headerOnly},
		{"unmetered", wasm.Options{Unmetered: true}, headerOnly},
		{"idle-guest/metered", wasm.Options{}, script{}},
		{"idle-guest/unmetered", wasm.Options{Unmetered: true}, script{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := loadFor(b, bench.options, bench.script)
			x := newExchange()
			x.Request.Header.Add("X-Api-Key", "secret")
			x.Response.Status = 200
			b.ReportAllocs()
			for b.Loop() {
				passAgain(b, p, x)
			}
		})
	}
}

func BenchmarkParallel(b *testing.B) {
	p := loadFor(b, wasm.Options{}, headerOnly)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x := newExchange()
		x.Response.Status = 200
		for pb.Next() {
			passAgain(b, p, x)
		}
	})
}
