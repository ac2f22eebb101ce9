package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// answer PHASE STATUS [GRPC] answers in the place of whoever is behind.
type answer struct{ stream }

func (a *answer) OnHttpRequestHeaders(int, bool) types.Action {
	switch a.plugin.word(1) {
	case "headers":
		return a.send([]byte("answered"))
	case "twice":
		a.send([]byte("first"))
		return a.send([]byte("second"))
	}
	return types.ActionContinue
}

func (a *answer) OnHttpRequestBody(size int, end bool) types.Action {
	switch {
	case a.plugin.word(1) != "body":
		return types.ActionContinue
	case !end:
		return types.ActionPause
	}
	return a.send(requestBody.read(size))
}

func (a *answer) OnHttpResponseHeaders(int, bool) types.Action {
	if a.plugin.word(1) == "response" {
		return a.send([]byte("answered"))
	}
	return types.ActionContinue
}

func (a *answer) send(text []byte) types.Action {
	status, err := strconv.Atoi(a.plugin.word(2))
	must(err)
	grpc := -1
	if word := a.plugin.word(3); word != "" {
		grpc, err = strconv.Atoi(word)
		must(err)
	}
	must(proxywasm.SendHttpResponse(uint32(status), [][2]string{{"X-Answer", "1"}, {"X-Answer", "2"}}, text, int32(grpc)))
	return types.ActionPause
}

// property PATH[=VALUE]...: shows properties, or sets them first.
type property struct{ stream }

func (p *property) OnHttpRequestHeaders(int, bool) types.Action {
	for _, word := range p.plugin.words[1:] {
		name, value, set := strings.Cut(word, "=")
		path := strings.Split(name, ".")
		if set {
			must(proxywasm.SetProperty(path, []byte(value)))
		}
		found, err := proxywasm.GetProperty(path)
		if err != nil {
			show("x-property", name+"?")
			continue
		}
		show("x-property", name+"="+string(found))
	}
	return types.ActionContinue
}

// foreign NAME [ARGUMENT] calls a function of the host.
type foreign struct{ stream }

func (f *foreign) OnHttpRequestHeaders(int, bool) types.Action {
	result, err := proxywasm.CallForeignFunction(f.plugin.word(1), []byte(f.plugin.word(2)))
	if err != nil {
		show("x-foreign", err.Error())
		return types.ActionContinue
	}
	show("x-foreign", "["+string(result)+"]")
	return types.ActionContinue
}

// levels logs at each level, and to standard output and error.
type levels struct{ stream }

func (*levels) OnHttpRequestHeaders(int, bool) types.Action {
	proxywasm.LogTrace("at trace")
	proxywasm.LogDebug("at debug")
	proxywasm.LogInfo("at info")
	proxywasm.LogWarn("at warn")
	proxywasm.LogError("at error")
	proxywasm.LogCritical("at critical")
	os.Stdout.WriteString("to stdout\n")
	os.Stderr.WriteString("to stderr\n")
	return types.ActionContinue
}

// done logs what it sees at the end of an exchange, and ends late itself.
type done struct{ stream }

func (*done) OnHttpStreamDone() {
	method, err := proxywasm.GetHttpRequestHeader(":method")
	must(err)
	status, err := proxywasm.GetHttpResponseHeader(":status")
	if err != nil {
		status = "none"
	}
	proxywasm.LogInfo("done " + method + " " + status)
}

func (p *plugin) OnPluginDone() bool {
	if p.words[0] != "done" {
		return true
	}
	must(proxywasm.SetTickPeriodMilliSeconds(1))
	return false
}

// panics does so where x-panic says.
type panics struct{ stream }

func (*panics) OnHttpRequestHeaders(int, bool) types.Action  { return panicAt("request") }
func (*panics) OnHttpResponseHeaders(int, bool) types.Action { return panicAt("response") }

func panicAt(phase string) types.Action {
	if at, err := proxywasm.GetHttpRequestHeader("x-panic"); err == nil && at == phase {
		panic("asked to, at the " + phase)
	}
	return types.ActionContinue
}
