package main

import (
	"errors"
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// change replaces a shared value by what f makes of it, as often as it takes.
func change(key string, f func(old string) string) string {
	for {
		old, cas, err := proxywasm.GetSharedData(key)
		if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
			panic(err)
		}
		next := f(string(old))
		switch err := proxywasm.SetSharedData(key, []byte(next), cas); {
		case err == nil:
			return next
		case !errors.Is(err, types.ErrorStatusCasMismatch):
			panic(err)
		}
	}
}

// count numbers exchanges over all instances.
type count struct{ stream }

func (*count) OnHttpRequestHeaders(int, bool) types.Action {
	show("x-count", change("count", func(old string) string {
		n, _ := strconv.Atoi(old)
		return strconv.Itoa(n + 1)
	}))
	return types.ActionContinue
}

// queue ROLE NAME [VM]: a consumer keeps what comes, a producer sends x-job.
type queue struct{ stream }

func (p *plugin) startQueue() {
	if p.word(1) == "consume" {
		_, err := proxywasm.RegisterSharedQueue(p.word(2))
		must(err)
	}
}

func (p *plugin) OnQueueReady(id uint32) {
	for {
		job, err := proxywasm.DequeueSharedQueue(id)
		if errors.Is(err, types.ErrorStatusEmpty) {
			return
		}
		must(err)
		change("jobs", func(old string) string { return old + string(job) + ";" })
	}
}

func (q *queue) OnHttpRequestHeaders(int, bool) types.Action {
	if jobs, _, err := proxywasm.GetSharedData("jobs"); err == nil {
		show("x-jobs", string(jobs))
	}
	if q.plugin.word(1) != "produce" {
		return types.ActionContinue
	}
	id, err := proxywasm.ResolveSharedQueue(q.plugin.word(3), q.plugin.word(2))
	if err != nil {
		show("x-queued", "not found")
		return types.ActionContinue
	}
	job, err := proxywasm.GetHttpRequestHeader("x-job")
	must(err)
	must(proxywasm.EnqueueSharedQueue(id, []byte(job)))
	show("x-queued", "yes")
	return types.ActionContinue
}

type meters struct {
	seen  proxywasm.MetricCounter
	level proxywasm.MetricGauge
	sizes proxywasm.MetricHistogram
}

func (p *plugin) startMeters() {
	p.meters = meters{
		seen:  proxywasm.DefineCounterMetric("seen"),
		level: proxywasm.DefineGaugeMetric("level"),
		sizes: proxywasm.DefineHistogramMetric("sizes"),
	}
}

type metrics struct{ stream }

func (m *metrics) OnHttpRequestHeaders(int, bool) types.Action {
	meters := m.plugin.meters
	meters.seen.Increment(1)
	meters.level.Add(2)
	meters.level.Add(-1)
	meters.sizes.Record(7)
	show("x-metrics", strconv.FormatUint(meters.seen.Value(), 10)+" "+strconv.FormatInt(meters.level.Value(), 10))
	return types.ActionContinue
}
