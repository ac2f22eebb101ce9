package main

import (
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func (p *plugin) startTicks() {
	period, err := strconv.Atoi(p.word(1))
	must(err)
	must(proxywasm.SetTickPeriodMilliSeconds(uint32(period)))
}

// OnTick goes on with whatever waits.
func (p *plugin) OnTick() {
	if p.words[0] == "done" {
		must(proxywasm.SetTickPeriodMilliSeconds(0))
		proxywasm.LogInfo("plugin done")
		proxywasm.PluginDone()
		return
	}
	for _, id := range p.paused {
		must(proxywasm.SetEffectiveContext(id))
		switch p.word(2) {
		case "request":
			show("x-ticked", "yes")
			must(proxywasm.ResumeHttpRequest())
		case "response":
			must(proxywasm.AddHttpResponseHeader("x-ticked", "yes"))
			must(proxywasm.ResumeHttpResponse())
		case "answer":
			must(proxywasm.SendHttpResponse(503, nil, []byte("ticked"), -1))
		}
	}
	p.paused = nil
}

// tick pauses until the next tick, in the phase that the configuration says.
type tick struct{ stream }

func (t *tick) OnHttpRequestHeaders(int, bool) types.Action {
	if t.plugin.word(2) == "response" {
		return types.ActionContinue
	}
	t.plugin.paused = append(t.plugin.paused, t.id)
	return types.ActionPause
}

func (t *tick) OnHttpResponseHeaders(int, bool) types.Action {
	if t.plugin.word(2) != "response" {
		return types.ActionContinue
	}
	t.plugin.paused = append(t.plugin.paused, t.id)
	return types.ActionPause
}

// dispatch calls out as the configuration says: call PHASE UPSTREAM PATH MS.
func (p *plugin) dispatch(then func(result [][2]string)) error {
	timeout, err := strconv.Atoi(p.word(4))
	must(err)
	head := [][2]string{
		{":method", "POST"}, {":path", p.word(3)}, {":authority", "callee.example"}, {"x-call", "a"}, {"x-call", "b"},
	}
	_, err = proxywasm.DispatchHttpCall(p.word(2), head, []byte("ping"), [][2]string{{"x-call-trailer", "t"}}, uint32(timeout),
		func(headers, size, trailers int) { then(outcome(headers, size, trailers)) })
	return err
}

// outcome is what a call came to, as fields.
func outcome(headers, size, trailers int) [][2]string {
	if headers == 0 {
		return [][2]string{{"x-called", "failed"}}
	}
	all, err := proxywasm.GetHttpCallResponseHeaders()
	must(err)
	var result [][2]string
	for _, pair := range all {
		switch pair[0] {
		case ":status":
			result = append(result, [2]string{"x-called", pair[1]})
		case "x-reply":
			result = append(result, pair)
		}
	}
	if size > 0 {
		text, err := proxywasm.GetHttpCallResponseBody(0, size)
		must(err)
		result = append(result, [2]string{"x-call-body", string(text)})
	}
	if trailers > 0 {
		all, err := proxywasm.GetHttpCallResponseTrailers()
		must(err)
		result = append(result, all...)
	}
	return result
}

func (p *plugin) startCall() {
	if p.word(1) != "start" {
		return
	}
	p.called = "pending"
	must(p.dispatch(func(result [][2]string) { p.called = result[0][1] }))
}

// call waits for calls, in the phase that the configuration says.
type call struct {
	stream
	open int
}

func (c *call) OnHttpRequestHeaders(int, bool) types.Action {
	switch c.plugin.word(1) {
	case "request":
		return c.wait(1, proxywasm.AddHttpRequestHeader, proxywasm.ResumeHttpRequest)
	case "two":
		return c.wait(2, proxywasm.AddHttpRequestHeader, proxywasm.ResumeHttpRequest)
	case "start":
		show("x-called", c.plugin.called)
	}
	return types.ActionContinue
}

func (c *call) OnHttpResponseHeaders(int, bool) types.Action {
	if c.plugin.word(1) == "response" {
		return c.wait(1, proxywasm.AddHttpResponseHeader, proxywasm.ResumeHttpResponse)
	}
	return types.ActionContinue
}

// wait makes n calls and pauses until all have come to something.
func (c *call) wait(n int, add func(name, value string) error, resume func() error) types.Action {
	for range n {
		err := c.plugin.dispatch(func(result [][2]string) {
			for _, pair := range result {
				must(add(pair[0], pair[1]))
			}
			if c.open--; c.open == 0 {
				must(resume())
			}
		})
		if err != nil {
			must(add("x-called", "refused"))
			return types.ActionContinue
		}
		c.open++
	}
	return types.ActionPause
}
