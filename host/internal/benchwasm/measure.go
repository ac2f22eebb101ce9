package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/internal/goal"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/capability"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
)

// guest is a shipped policy and what its clones must be, against plain instances.
type guest struct {
	policy, language string
	faster, smaller  float64       // times; 0: no goal
	fresh            time.Duration // what a fresh sandbox may add to an exchange; 0: no goal
}

var guests = []guest{
	{policy: "request-guard", language: "Go", faster: 15, smaller: 20},
	{policy: "headers", language: "Rust", faster: 2, fresh: 60 * time.Microsecond},
	{policy: "router", language: "Rust", faster: 2, fresh: 60 * time.Microsecond},
}

// figures are medians. A plain instance is one as wazero makes it, with its memory on
// the heap; mapped has its memory where clones have theirs.
type figures struct {
	plain, mapped, clone cost
	shared, fresh        time.Duration // of an exchange
}

// cost is what one instance costs, before it is used.
type cost struct {
	time   time.Duration
	memory int64 // resident
}

func measure(ctx context.Context, g guest, o options) (figures, error) {
	onHeap, err := newBench(g, o, true)
	if err != nil {
		return figures{}, err
	}
	mapped, err := newBench(g, o, false)
	if err != nil {
		return figures{}, errors.Join(err, onHeap.engine.Close(ctx))
	}
	f, err := rounds(ctx, onHeap, mapped)
	return f, errors.Join(err, onHeap.engine.Close(ctx), mapped.engine.Close(ctx))
}

func rounds(ctx context.Context, onHeap, mapped *bench) (figures, error) {
	// Granted randomness, a guest that does not say how it is reseeded has plain instances.
	one := manifest.Policy{Grants: append(mapped.grants(), wasm.Random)}
	many := manifest.Policy{Grants: mapped.grants()}
	ways := []struct {
		bench    *bench
		settings manifest.Policy
		costs    costs
	}{{bench: onHeap, settings: one}, {bench: mapped, settings: one}, {bench: mapped, settings: many}}
	isolations := []string{"shared", "exchange"}
	visits := make([][]time.Duration, len(isolations))
	for range mapped.options.rounds {
		for i := range ways {
			c, err := ways[i].bench.get(ctx, ways[i].settings)
			if err != nil {
				return figures{}, err
			}
			ways[i].costs.add(c)
		}
		for i, isolation := range isolations {
			d, err := mapped.carry(ctx, manifest.Policy{Grants: mapped.grants(), Isolation: isolation})
			if err != nil {
				return figures{}, err
			}
			visits[i] = append(visits[i], d)
		}
	}
	return figures{
		plain: ways[0].costs.median(), mapped: ways[1].costs.median(), clone: ways[2].costs.median(),
		shared: median(visits[0]), fresh: median(visits[1]),
	}, nil
}

// costs are those of all rounds.
type costs struct {
	times    []time.Duration
	memories []int64
}

func (c *costs) add(one cost) {
	c.times, c.memories = append(c.times, one.time), append(c.memories, one.memory)
}

func (c *costs) median() cost { return cost{median(c.times), median(c.memories)} }

func median[T int64 | time.Duration](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

func (f figures) print(g guest) {
	fmt.Printf("%s (%s): plain %v; plain with mapped memory %v; clone %v; exchange %v in a shared instance, %v in a fresh one\n",
		g.policy, g.language, f.plain, f.mapped, f.clone, f.shared, f.fresh)
}

func (f figures) goals(g guest) []goal.Goal {
	var list []goal.Goal
	if g.faster > 0 {
		list = append(list, goal.Goal{What: g.policy + ": a clone is faster to get than a plain instance", Unit: "times",
			Measured: float64(f.plain.time) / float64(f.clone.time), Bound: g.faster, Least: true})
	}
	if g.smaller > 0 {
		list = append(list, goal.Goal{What: g.policy + ": a clone takes less memory than a plain instance", Unit: "times",
			Measured: float64(f.plain.memory) / float64(max(1, f.clone.memory)), Bound: g.smaller, Least: true})
	}
	if g.fresh > 0 {
		list = append(list, goal.Goal{What: g.policy + ": a fresh sandbox adds to an exchange", Unit: "us",
			Measured: float64(f.fresh-f.shared) / 1e3, Bound: float64(g.fresh.Microseconds())})
	}
	return list
}

func (c cost) String() string { return fmt.Sprintf("%v, %d KiB", c.time, c.memory>>10) }

// bench loads one policy in several ways.
type bench struct {
	guest   guest
	options options
	engine  *wasm.Engine
	loader  *httpwasm.Loader
}

func newBench(g guest, o options, heap bool) (*bench, error) {
	engine, err := wasm.Open(wasm.Options{
		Capabilities: []wasm.HostModule{capability.Route(), capability.Log()}, HeapMemory: heap,
	})
	return &bench{guest: g, options: o, engine: engine, loader: httpwasm.NewLoader(engine)}, err
}

func (b *bench) grants() []string { return []string{"ergo_route", "ergo_log"} }

func (b *bench) load(ctx context.Context, settings manifest.Policy) (policy.Policy, error) {
	artifact, err := policy.LoadArtifact(filepath.Join("policies", b.guest.policy))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(artifact.File.Example)
	if err != nil {
		return nil, err
	}
	settings.Limits = manifest.Limits{
		Memory: 64 << 20, Time: manifest.Duration(time.Second), Instances: b.options.instances + 1,
		Wait: manifest.Duration(time.Second), RequestBody: 1 << 20, ResponseBody: 1 << 20,
	}
	return b.loader.Load(ctx, policy.Spec{
		Name: b.guest.policy, Artifact: artifact, Config: config, Settings: settings, Granted: &policy.Granted{},
	})
}

// get has a policy lend many instances at once, all but the first of which it
// makes then.
func (b *bench) get(ctx context.Context, settings manifest.Policy) (cost, error) {
	p, err := b.load(ctx, settings)
	if err != nil {
		return cost{}, err
	}
	x := &exchange.Exchange{}
	lent := []policy.Instance{}
	first, err := p.Acquire(x)
	if err != nil {
		return cost{}, errors.Join(err, p.Close(ctx))
	}
	debug.FreeOSMemory()
	before := resident()
	var times []time.Duration
	for range b.options.instances {
		start := time.Now()
		i, err := p.Acquire(x)
		times = append(times, time.Since(start))
		if err != nil {
			return cost{}, err
		}
		lent = append(lent, i)
	}
	debug.FreeOSMemory()
	c := cost{median(times), (resident() - before) / int64(len(lent))}
	for _, i := range append(lent, first) {
		p.Release(i)
	}
	return c, p.Close(ctx)
}

// resident returns how much memory the process takes.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// carry returns what one exchange takes, request and response.
func (b *bench) carry(ctx context.Context, settings manifest.Policy) (time.Duration, error) {
	p, err := b.load(ctx, settings)
	if err != nil {
		return 0, err
	}
	x := &exchange.Exchange{}
	start := time.Now()
	for range b.options.exchanges {
		if err := visit(p, x); err != nil {
			return 0, errors.Join(err, p.Close(ctx))
		}
	}
	took := time.Since(start) / time.Duration(b.options.exchanges)
	return took, p.Close(ctx)
}

func visit(p policy.Policy, x *exchange.Exchange) error {
	x.Request.Header.Reset()
	x.Response.Header.Reset()
	x.Arena.Reset()
	x.Route.Sent = false
	x.Request.Method, x.Request.Authority, x.Request.Target = "GET", "site.example", "/users/7"
	i, err := p.Acquire(x)
	if err != nil {
		return err
	}
	defer p.Release(i)
	verdict, err := p.(policy.RequestHead).OnRequestHead(i, x)
	if err != nil || verdict == policy.Answer {
		return err
	}
	x.Route.Sent, x.Response.Status = true, 200
	return p.(policy.ResponseHead).OnResponseHead(i, x)
}
