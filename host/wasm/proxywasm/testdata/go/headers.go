package main

import (
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// fields are the SDK's functions for one of the four maps.
type fields struct {
	get     func(string) (string, error)
	all     func() ([][2]string, error)
	add     func(name, value string) error
	replace func(name, value string) error
	remove  func(string) error
}

var (
	requestHeaders = fields{
		proxywasm.GetHttpRequestHeader, proxywasm.GetHttpRequestHeaders, proxywasm.AddHttpRequestHeader,
		proxywasm.ReplaceHttpRequestHeader, proxywasm.RemoveHttpRequestHeader,
	}
	requestTrailers = fields{
		proxywasm.GetHttpRequestTrailer, proxywasm.GetHttpRequestTrailers, proxywasm.AddHttpRequestTrailer,
		proxywasm.ReplaceHttpRequestTrailer, proxywasm.RemoveHttpRequestTrailer,
	}
	responseHeaders = fields{
		proxywasm.GetHttpResponseHeader, proxywasm.GetHttpResponseHeaders, proxywasm.AddHttpResponseHeader,
		proxywasm.ReplaceHttpResponseHeader, proxywasm.RemoveHttpResponseHeader,
	}
	responseTrailers = fields{
		proxywasm.GetHttpResponseTrailer, proxywasm.GetHttpResponseTrailers, proxywasm.AddHttpResponseTrailer,
		proxywasm.ReplaceHttpResponseTrailer, proxywasm.RemoveHttpResponseTrailer,
	}
)

// edit reads, adds, replaces and removes.
func edit(f fields) types.Action {
	if first, err := f.get("x-in"); err == nil {
		must(f.add("x-first", first))
	}
	all, err := f.all()
	must(err)
	var values []string
	for _, pair := range all {
		if pair[0] == "x-in" {
			values = append(values, pair[1])
		}
	}
	must(f.add("x-all", strings.Join(values, "|")))
	must(f.add("x-added", "one"))
	must(f.add("x-added", "two"))
	must(f.replace("x-replaced", "new"))
	must(f.remove("x-removed"))
	return types.ActionContinue
}

type headers struct{ stream }

func (*headers) OnHttpRequestHeaders(int, bool) types.Action  { return edit(requestHeaders) }
func (*headers) OnHttpResponseHeaders(int, bool) types.Action { return edit(responseHeaders) }

type trailers struct{ stream }

func (*trailers) OnHttpRequestTrailers(int) types.Action  { return edit(requestTrailers) }
func (*trailers) OnHttpResponseTrailers(int) types.Action { return edit(responseTrailers) }

type pairs struct{ stream }

func (*pairs) OnHttpRequestHeaders(int, bool) types.Action {
	return rewrite(proxywasm.GetHttpRequestHeaders, proxywasm.ReplaceHttpRequestHeaders)
}

func (*pairs) OnHttpResponseHeaders(int, bool) types.Action {
	return rewrite(proxywasm.GetHttpResponseHeaders, proxywasm.ReplaceHttpResponseHeaders)
}

// rewrite sets a map as a whole: without x-drop-*, with two of x-pair.
func rewrite(get func() ([][2]string, error), set func([][2]string) error) types.Action {
	all, err := get()
	must(err)
	var kept [][2]string
	for _, pair := range all {
		if !strings.HasPrefix(pair[0], "x-drop-") {
			kept = append(kept, pair)
		}
	}
	must(set(append(kept, [2]string{"x-pair", "a"}, [2]string{"x-pair", "b"})))
	return types.ActionContinue
}

type pseudo struct{ stream }

func (*pseudo) OnHttpRequestHeaders(int, bool) types.Action {
	path, err := proxywasm.GetHttpRequestHeader(":path")
	must(err)
	for _, pair := range [][2]string{{":method", "PUT"}, {":path", "/moved?from=" + path}, {":authority", "moved.example"}} {
		must(proxywasm.ReplaceHttpRequestHeader(pair[0], pair[1]))
	}
	return types.ActionContinue
}

func (*pseudo) OnHttpResponseHeaders(int, bool) types.Action {
	status, err := proxywasm.GetHttpResponseHeader(":status")
	must(err)
	must(proxywasm.AddHttpResponseHeader("x-status", status))
	must(proxywasm.ReplaceHttpResponseHeader(":status", "418"))
	return types.ActionContinue
}
