package main

import (
	"bytes"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// content are the SDK's functions for one of the two bodies.
type content struct {
	get     func(start, size int) ([]byte, error)
	replace func([]byte) error
	append  func([]byte) error
	prepend func([]byte) error
}

var (
	requestBody = content{
		proxywasm.GetHttpRequestBody, proxywasm.ReplaceHttpRequestBody,
		proxywasm.AppendHttpRequestBody, proxywasm.PrependHttpRequestBody,
	}
	responseBody = content{
		proxywasm.GetHttpResponseBody, proxywasm.ReplaceHttpResponseBody,
		proxywasm.AppendHttpResponseBody, proxywasm.PrependHttpResponseBody,
	}
)

// read returns what is held of a body.
func (c content) read(size int) []byte {
	if size == 0 {
		return nil
	}
	text, err := c.get(0, size)
	must(err)
	return text
}

// body changes one body: its first word says which one, the second how.
type body struct{ stream }

func (b *body) OnHttpRequestHeaders(_ int, end bool) types.Action {
	if b.plugin.word(1) != "request" {
		return types.ActionContinue
	}
	must(proxywasm.RemoveHttpRequestHeader("content-length"))
	if b.plugin.word(2) == "gate" && !end {
		return types.ActionPause
	}
	return types.ActionContinue
}

func (b *body) OnHttpRequestBody(size int, end bool) types.Action {
	if b.plugin.word(1) != "request" {
		return types.ActionContinue
	}
	if b.plugin.word(2) == "gate" && end {
		show("x-body", string(requestBody.read(size)))
		return types.ActionContinue
	}
	return b.change(requestBody, size, end)
}

func (b *body) OnHttpResponseHeaders(int, bool) types.Action {
	if b.plugin.word(1) == "response" {
		must(proxywasm.RemoveHttpResponseHeader("content-length"))
	}
	return types.ActionContinue
}

func (b *body) OnHttpResponseBody(size int, end bool) types.Action {
	if b.plugin.word(1) != "response" {
		return types.ActionContinue
	}
	return b.change(responseBody, size, end)
}

func (b *body) change(c content, size int, end bool) types.Action {
	if b.plugin.word(2) == "stream" {
		must(c.replace(bytes.ToUpper(c.read(size))))
		return types.ActionContinue
	}
	if !end {
		return types.ActionPause
	}
	switch b.plugin.word(2) {
	case "upper":
		must(c.replace(bytes.ToUpper(c.read(size))))
	case "replace":
		must(c.replace([]byte("replaced")))
	case "append":
		must(c.append([]byte("<tail>")))
	case "prepend":
		must(c.prepend([]byte("<head>")))
	}
	return types.ActionContinue
}
