// Command guest is a proxy-wasm plugin with the Go SDK and stock Go. What it
// does is the first word of its configuration; ../README.md lists them.
package main

import (
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() { proxywasm.SetVMContext(new(vm)) }

type vm struct{ types.DefaultVMContext }

func (*vm) OnVMStart(int) types.OnVMStartStatus {
	config, err := proxywasm.GetVMConfiguration()
	return err != nil || string(config) != "refuse"
}

func (*vm) NewPluginContext(id uint32) types.PluginContext { return &plugin{id: id} }

// plugin is one use of the module.
type plugin struct {
	types.DefaultPluginContext
	id     uint32
	words  []string
	paused []uint32 // contexts that the next tick goes on with
	called string   // what the call at the start came to
	meters meters
}

// starts do what some behaviours need before the first exchange.
var starts = map[string]func(*plugin){
	"tick":    (*plugin).startTicks,
	"call":    (*plugin).startCall,
	"queue":   (*plugin).startQueue,
	"metrics": (*plugin).startMeters,
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	p.words = strings.Fields(string(config))
	if err != nil || len(p.words) == 0 || p.words[0] == "refuse" {
		return types.OnPluginStartStatusFailed
	}
	if start, ok := starts[p.words[0]]; ok {
		start(p)
	}
	return types.OnPluginStartStatusOK
}

// word returns the n-th word of the configuration, "" if there is none.
func (p *plugin) word(n int) string {
	if n >= len(p.words) {
		return ""
	}
	return p.words[n]
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	s := stream{plugin: p, id: id}
	switch p.words[0] {
	case "headers":
		return &headers{stream: s}
	case "pairs":
		return &pairs{stream: s}
	case "pseudo":
		return &pseudo{stream: s}
	case "trailers":
		return &trailers{stream: s}
	case "body":
		return &body{stream: s}
	case "answer":
		return &answer{stream: s}
	case "tick":
		return &tick{stream: s}
	case "call":
		return &call{stream: s}
	case "count":
		return &count{stream: s}
	case "queue":
		return &queue{stream: s}
	case "metrics":
		return &metrics{stream: s}
	case "property":
		return &property{stream: s}
	case "foreign":
		return &foreign{stream: s}
	case "log":
		return &levels{stream: s}
	case "done":
		return &done{stream: s}
	case "panic":
		return &panics{stream: s}
	}
	return &types.DefaultHttpContext{}
}

// stream is what the contexts of all behaviours have.
type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	id     uint32
}

// show tells a result to whoever sees the request behind this plugin.
func show(name, value string) { must(proxywasm.AddHttpRequestHeader(name, value)) }

// must is for calls that the host has no reason to refuse.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
