package httpwasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// moduleName is what guests import the functions from.
const moduleName = "http_handler"

// Functions that a guest exports.
const (
	handleRequest  = "handle_request"
	handleResponse = "handle_response"
)

var exports = []wasm.Export{
	{Name: handleRequest, Results: []api.ValueType{wasm.I64}},
	{Name: handleResponse, Params: []api.ValueType{wasm.I32, wasm.I32}},
}

// Host is the ABI's host side: its 19 functions. All parameters are i32.
func Host() wasm.HostModule {
	return wasm.HostModule{Name: moduleName, Functions: []wasm.HostFunction{
		function("enable_features", 1, wasm.I32, enableFeatures),
		function("get_config", 2, wasm.I32, getConfig),
		function("log", 3, none, logMessage),
		function("log_enabled", 1, wasm.I32, logEnabled),
		function("get_method", 2, wasm.I32, getMethod),
		function("set_method", 2, none, setMethod),
		function("get_uri", 2, wasm.I32, getURI),
		function("set_uri", 2, none, setURI),
		function("get_protocol_version", 2, wasm.I32, getProtocolVersion),
		function("get_source_addr", 2, wasm.I32, getSourceAddr),
		function("get_header_names", 3, wasm.I64, getHeaderNames),
		function("get_header_values", 5, wasm.I64, getHeaderValues),
		function("set_header_value", 5, none, setHeaderValue),
		function("add_header_value", 5, none, addHeaderValue),
		function("remove_header", 3, none, removeHeader),
		function("read_body", 3, wasm.I64, readBody),
		function("write_body", 3, none, writeBody),
		function("get_status_code", 0, wasm.I32, getStatusCode),
		function("set_status_code", 1, none, setStatusCode),
	}}
}

const none api.ValueType = 0

func function(name string, params int, result api.ValueType, call api.GoModuleFunc) wasm.HostFunction {
	f := wasm.HostFunction{Name: name, Call: call}
	for range params {
		f.Params = append(f.Params, wasm.I32)
	}
	if result != none {
		f.Results = []api.ValueType{result}
	}
	return f
}

// feature is a bit of enable_features.
type feature uint64

const (
	bufferRequest  feature = 1
	bufferResponse feature = 2
	trailers       feature = 4
)

// The kinds of fields and bodies that a guest names.
const (
	requestFields    = 0
	responseFields   = 1
	requestTrailers  = 2
	responseTrailers = 3

	requestBody  = 0
	responseBody = 1
)

// trap ends the guest's call with an error: the ABI has no other way to tell
// that something went wrong.
func trap(format string, args ...any) {
	panic(fmt.Errorf(format, args...))
}

// guestOf returns the guest that calls a host function.
func guestOf(ctx context.Context) *guest { return wasm.CallOf(ctx).Guest.(*guest) }

// sessionOf returns the exchange's state; without an exchange it traps.
func sessionOf(ctx context.Context) *session {
	s := guestOf(ctx).session
	if s == nil {
		panic(wasm.ErrNoExchange)
	}
	return s
}
